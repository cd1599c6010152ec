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

/// What an editor tells by the schema is what the check tells: a value at a bound is right for both, and the
/// next one is a fault at the same place.
#[test]
fn bounds_in_the_schema_are_those_of_the_check() {
    let schema = Definition::json_schema();
    let many = |count: u64, value: Value| Value::Array(vec![value; count as usize]);
    let long = |count: u64| json!(format!("/{}", "a".repeat(count as usize - 1)));
    let limit = |calls: u64| json!([{"calls": calls, "per": "1h", "burst": 1}]);
    let text = |count: u64| json!([{"status": 403, "text": "a".repeat(count as usize)}]);
    let number = |count: u64| json!(count);
    let hosts = |count: u64| json!({"at": "files", "hosts": many(count, json!("files.example.com"))});
    type Make<'a> = &'a dyn Fn(u64) -> Value;
    let cases: [(&str, &str, &str, Make<'_>); 12] = [
        ("/properties/name/maxLength", "/name", "/name", &|count| json!("a".repeat(count as usize))),
        ("/properties/description/maxLength", "/description", "/description", &long),
        ("/properties/fallback_urls/maxItems", "/fallback_urls", "/fallback_urls", &|count| {
            many(count, json!("https://eu.ats.example"))
        }),
        ("/properties/concurrency/maximum", "/concurrency", "/concurrency", &number),
        ("/$defs/Limit/properties/calls/maximum", "/limits", "/limits/0/calls", &limit),
        ("/$defs/Refusal/properties/text/maxLength", "/refusals", "/refusals/0/text", &text),
        ("/properties/refusals/maxItems", "/refusals", "/refusals", &|count| {
            many(count, json!({"status": 403}))
        }),
        ("/$defs/Attachments/properties/hosts/maxItems", "/attachments", "/attachments/hosts", &hosts),
        ("/$defs/ListCall/properties/path/maxLength", "/list/path", "/list/path", &long),
        ("/$defs/ListCall/properties/items/maxLength", "/list/items", "/list/items", &long),
        (
            "/$defs/ListCall/properties/per_page_max/maximum",
            "/list/per_page_max",
            "/list/per_page_max",
            &number,
        ),
        ("/$defs/ListCall/properties/updated_at/maxLength", "/list/updated_at", "/list/updated_at", &long),
    ];
    for (bound, field, place, make) in cases {
        let most =
            schema.pointer(bound).and_then(Value::as_u64).unwrap_or_else(|| panic!("{bound} is missing"));
        assert_eq!(faults(&with(&[(field, make(most))])), [""; 0], "{bound}");
        let told = faults(&with(&[(field, make(most + 1))]));
        assert!(
            told.first().is_some_and(|fault| fault.starts_with(&format!("{place}: "))),
            "{bound}: {told:?}"
        );
    }
}
