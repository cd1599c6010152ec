use super::*;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../sources/schema.json");

/// `RENEW=1 cargo test -p resume-core definition::tests::schema` writes the file anew.
#[test]
fn the_committed_schema_is_up_to_date() {
    let schema = format!("{:#}\n", Definition::json_schema());
    if std::env::var_os("RENEW").is_some() {
        std::fs::write(COMMITTED, &schema).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == schema,
        "sources/schema.json is stale: run `RENEW=1 cargo test -p resume-core definition::tests::schema`"
    );
}

#[test]
fn every_field_is_described() {
    let schema = Definition::json_schema();
    let properties = schema["properties"].as_object().unwrap();
    assert!(properties.len() == 21 && properties.values().all(|field| field["description"].is_string()));
    assert_eq!(schema["additionalProperties"], false);
    let format = schema["$defs"]["Format"].to_string();
    assert!(["profile", "json_resume", "mapped"].iter().all(|name| format.contains(name)), "{format}");
}
