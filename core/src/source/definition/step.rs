use std::collections::BTreeMap;

use super::{Definition, DetailCall, IdsCall, ListCall, Placeholder, Template};

/// What a call to a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "call_step", rename_all = "snake_case")]
pub enum Step {
    /// A page of the list of parents.
    Parents,
    /// A page of the list of items, or of the list of one parent's items.
    List,
    /// One item in full.
    Detail,
    /// A file that belongs to an item.
    Attachment,
    /// A page of the deletions feed.
    Deleted,
    /// A look through resumes that are there for people to ask for. It takes no call.
    Known,
}

impl Definition {
    /// The call of a step, as a list: a detail call lists its one item, which is at [`ListCall::items`]
    /// itself. `None` for a step that the source has not, for an attachment, whose address an item tells, and
    /// for what takes no call. What `list` expects of an answer, all of them must hold.
    pub fn call_of(&self, step: Step) -> Option<ListCall> {
        let call = |path: &str, params: &BTreeMap<String, Template>, items: &str| ListCall {
            path: path.to_owned(),
            params: params.clone(),
            items: items.to_owned(),
            per_page_max: 1,
            expect: self.list.expect.clone(),
            ..ListCall::default()
        };
        let ids = |IdsCall { path, params, items, id, per_page_max, paging }: &IdsCall| ListCall {
            id: id.clone(),
            per_page_max: *per_page_max,
            paging: paging.clone(),
            ..call(path, params, items)
        };
        Some(match step {
            Step::Parents => ids(self.parents.as_ref()?),
            Step::Deleted => ids(self.list.deleted.as_ref()?.feed.as_ref()?),
            Step::List if self.known.is_some() => return None,
            Step::List => self.list.clone(),
            Step::Detail => {
                let DetailCall { path, params, item, array: _ } = self.detail.as_ref()?;
                // What it gives is the item in full, so all that the list says of items holds for it.
                ListCall {
                    id_within_parent: self.list.id_within_parent,
                    updated_at: self.list.updated_at.clone(),
                    deleted: self.list.deleted.clone(),
                    ..call(path, params, item)
                }
            }
            Step::Attachment | Step::Known => return None,
        })
    }

    /// Whether the call for an item in full names the parent that it is listed under.
    pub fn detail_names_parent(&self) -> bool {
        self.detail.as_ref().is_some_and(|detail| {
            let path = detail.path.parse::<Template>();
            path.is_ok_and(|path| path.has(Placeholder::Parent))
                || detail.params.values().any(|template| template.has(Placeholder::Parent))
        })
    }

    /// The step whose items are kept.
    pub fn last_step(&self) -> Step {
        if self.detail.is_some() { Step::Detail } else { Step::List }
    }

    /// The step that a collection begins with.
    pub fn first_step(&self) -> Step {
        match (&self.known, &self.parents) {
            (Some(_), _) => Step::Known,
            (None, Some(_)) => Step::Parents,
            (None, None) => Step::List,
        }
    }
}
