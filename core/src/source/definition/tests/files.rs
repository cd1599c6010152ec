use super::*;

const CSV: &str = r#"
name: acme-files
files: { id: /Candidate ID }
format: mapped
map: { name: '"Full Name"', skills: Skills }
"#;

#[test]
fn a_source_of_files_has_no_call() {
    let definition = Definition::from_yaml(CSV).unwrap();
    assert!(definition.is_of_files());
    assert_eq!(definition.id_pointer(), "/Candidate ID");
    let written = serde_json::to_value(&definition).unwrap();
    let fields: Vec<&String> = written.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["files", "format", "map", "name"], "and shows none");
    assert_eq!(Definition::from_json(&written).unwrap(), definition);

    let plain = Definition::from_json(&json!({"name": "a", "files": {}, "format": "json_resume"})).unwrap();
    assert_eq!(plain.id_pointer(), "/id");
    assert!(!Definition::from_json(&smallest()).unwrap().is_of_files());
}

#[test]
fn files_and_calls_do_not_go_together() {
    let all = with(&[
        ("/files", json!({})),
        ("/fallback_urls", json!(["https://b"])),
        ("/allow_private_network", json!(true)),
        ("/auth", json!([{"bearer": "env:RESUME_SECRET_A"}])),
        ("/headers", json!({"a": "b"})),
        ("/concurrency", json!(1)),
    ]);
    let found = faults(&all);
    let named: Vec<&str> = found.iter().filter_map(|fault| fault.split(':').next()).collect();
    let fields = [
        "base_url",
        "fallback_urls",
        "allow_private_network",
        "auth",
        "headers",
        "limits",
        "concurrency",
        "list",
    ];
    assert_eq!(named, fields.map(|field| format!("/{field}")), "{found:?}");
    assert!(found[0].contains("a source with `files` makes no calls"), "{found:?}");
}

#[test]
fn one_of_them_must_be_there() {
    let found = faults(&json!({"name": "a", "format": "profile"}));
    let named: Vec<&str> = found.iter().filter_map(|fault| fault.split(':').next()).collect();
    assert_eq!(named, ["/base_url", "/limits", "/list"], "{found:?}");
    assert_eq!(
        faults(&with(&[("/list", Value::Null)])),
        ["/list: missing: write the call that lists the items, or `files` where there is no API, or `known`"]
    );
}

#[test]
fn ids_of_files() {
    let files = |id: &str, format: &str| json!({"name": "a", "files": {"id": id}, "format": format});
    assert_eq!(
        faults(&files("/key", "profile")),
        ["/files/id: goes with format `mapped`: items of `profile` have their id in /id"]
    );
    let mut mapped = files("key", "mapped");
    mapped["map"] = json!({"name": "name"});
    assert!(faults(&mapped)[0].starts_with("/files/id: write a JSON Pointer"), "{:?}", faults(&mapped));
    assert!(
        faults(&json!({"name": "a", "files": {"path": "/x"}, "format": "profile"}))[0]
            .contains("unknown field `path`")
    );
}
