use super::{Attachments, Definition, OverlappingRuns};

impl Definition {
    /// Whether both ask the source for the same, so that what one has brought need not be asked for again by
    /// the other.
    ///
    /// A definition asks for something else unless it differs only in what is set aside here, so that a field
    /// that is added later counts until somebody knows better: a run too many costs calls, and one too few
    /// costs candidates.
    ///
    /// * `description` is for people.
    /// * `limits`, `concurrency` and `overlapping_runs` say when calls are made, not which.
    /// * The hosts of `attachments`: the calls that failed for want of one are made again by a resume of
    ///   their collection.
    /// * `map`: documents are kept as they came, and parsed again without a call.
    pub fn asks_the_same_as(&self, other: &Self) -> bool {
        self.as_asked() == other.as_asked()
    }

    fn as_asked(&self) -> Self {
        let without_hosts = |attachments: Attachments| Attachments { hosts: Vec::new(), ..attachments };
        Self {
            description: None,
            limits: Vec::new(),
            concurrency: None,
            overlapping_runs: OverlappingRuns::default(),
            attachments: self.attachments.clone().map(without_hosts),
            map: None,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::with;
    use super::*;

    #[test]
    fn only_what_changes_no_call_is_set_aside() {
        let read = |definition| serde_json::from_value::<Definition>(definition).unwrap();
        let base = [("/attachments", json!({"at": "files"})), ("/map", json!({"name": "name"}))];
        let changed = |at: &'static str, value| {
            let changes: Vec<_> = base.iter().cloned().chain([(at, value)]).collect();
            read(with(&base)).asks_the_same_as(&read(with(&changes)))
        };
        for (at, value) in [
            ("/description", json!("Acme")),
            ("/limits", json!([{"calls": 1, "per": "1m"}])),
            ("/concurrency", json!(1)),
            ("/overlapping_runs", json!("refuse")),
            ("/attachments/hosts", json!(["files.example.com"])),
            ("/map", json!({"name": "full_name", "skills": "tags"})),
        ] {
            assert!(changed(at, value.clone()), "{at}: {value}");
        }
        for (at, value) in [
            ("/base_url", json!("https://eu.ats.example/v1")),
            ("/headers", json!({"X-Version": "2"})),
            ("/auth", json!([{"bearer": "env:RESUME_SECRET_OTHER"}])),
            ("/format", json!("json_resume")),
            ("/parents", json!({"path": "/positions", "items": "", "paging": {"single": {}}})),
            ("/detail", json!({"path": "/candidates/{id}"})),
            ("/attachments/at", json!("documents")),
            ("/list/method", json!("post")),
            ("/list/path", json!("/people")),
            ("/list/items", json!("/data")),
            ("/list/id", json!("/key")),
            ("/list/id_within_parent", json!(true)),
            ("/list/updated_at", json!("/changed")),
            ("/list/params", json!({"q": "x"})),
            ("/list/paging", json!({"next_url": {"at": "/next"}})),
            ("/list/expect", json!({"at": "/ok", "equals": true})),
            ("/list/since", json!({"format": "rfc3339"})),
            ("/list/deleted", json!({"missing": "hide"})),
        ] {
            assert!(!changed(at, value.clone()), "{at}: {value}");
        }
    }
}
