use super::*;

/// The same id, wherever it is read: by [`id_at`] for a mapped item and a file, and by what both `external_id` and `parse` make of the id in `{"id": <id>, ..}`.
#[track_caller]
fn check(id: &str, expected: Result<&str, &str>) {
    let mapped = format!(r#"{{"person": [{{"key": {id}}}]}}"#);
    assert_eq!(id_at(mapped.as_bytes(), "/person/0/key").as_deref(), expected.ok(), "{id}");
    for format in FIXED {
        let body = format!(r#"{{"a": {{"id": 7}}, "id": {id}, "skills": [], "work_experiences": []}}"#);
        let parsed = parse(format, body.as_bytes());
        assert_eq!(external_id(format, body.as_bytes()).as_deref(), expected.ok(), "{id}");
        let parsed = parsed.map(|resume| resume.external_id).map_err(|error| error.to_string());
        assert_eq!(parsed.as_deref().map_err(String::as_str), expected, "{id}");
    }
}

#[test]
fn strings_are_trimmed_and_numbers_stay_as_written() {
    check(r#""a-1""#, Ok("a-1"));
    check(r#"" a ""#, Ok("a"));
    check(r#""\u00e9\n""#, Ok("é"));
    check("17", Ok("17"));
    check("0", Ok("0"));
    check("-3", Ok("-3"));
    check("12345678901234567890123456789", Ok("12345678901234567890123456789"));
    check("1.0", Ok("1.0"));
    check("1e3", Ok("1e3"));
    check(&format!("\"{}\"", "x".repeat(MAX_ID_BYTES)), Ok(&"x".repeat(MAX_ID_BYTES)));
}

#[test]
fn anything_else_is_no_id() {
    check("null", Err(r#"missing_id at "/id": the document has no id"#));
    check(r#""""#, Err(r#"invalid_id at "/id": the id is blank"#));
    check(r#"" \t""#, Err(r#"invalid_id at "/id": the id is blank"#));
    check("true", Err(r#"invalid_id at "/id": expected a string or a number, found a boolean"#));
    check("[1]", Err(r#"invalid_id at "/id": expected a string or a number, found an array"#));
    check(r#"{"id": 1}"#, Err(r#"invalid_id at "/id": expected a string or a number, found an object"#));
    check(r#""a\u0000b""#, Err(r#"invalid_id at "/id": the id holds a NUL"#));
    check(
        &format!("\"{}\"", "é".repeat(257)),
        Err(r#"invalid_id at "/id": the id has 514 bytes, the most is 512"#),
    );
}

#[test]
fn the_last_of_two_ids_counts() {
    let body = br#"{"id": 1, "skills": [], "\u0069d": "two", "id\u0000": 3}"#;
    assert_eq!(external_id(Format::Profile, body).as_deref(), Some("two"));
    assert_eq!(parse(Format::Profile, body).unwrap().external_id, "two");
}

#[test]
fn what_is_no_object_has_no_id() {
    let bodies: [&[u8]; 8] =
        [b"", b"[]", b"[{\"id\": 1}]", b"\"id\"", b"{\"id\": 1", b"{\"id\": 1} x", b"{\"id\": 01}", b"\xFF"];
    for body in bodies {
        assert_eq!(external_id(Format::Profile, body), None);
    }
}

/// So that the failure of a document can be listed under its id.
#[test]
fn documents_beyond_the_limits_have_an_id() {
    let deep = format!(r#"{{"a": {}{}, "id": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let large = format!(r#"{{"a": "{}", "id": 2}}"#, "x".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(external_id(Format::Profile, deep.as_bytes()).as_deref(), Some("1"));
    assert_eq!(external_id(Format::Profile, large.as_bytes()).as_deref(), Some("2"));
    let deep_id = format!(r#"{{"id": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(external_id(Format::Profile, deep_id.as_bytes()), None);
}

#[test]
fn a_mapped_document_has_no_id_in_it() {
    assert_eq!(external_id(Format::Mapped, br#"{"id": 1}"#), None);
}

#[test]
fn an_id_that_was_read_before_has_the_same_limits() {
    use crate::raw::NewRawDocument;
    let kept = |id: &str| NewRawDocument::with_id(Some(id.to_owned()), b"{}").external_id;
    let longest = "x".repeat(MAX_ID_BYTES);
    for id in ["a", " a ", "17", longest.as_str()] {
        assert_eq!(kept(id).as_deref(), Some(id));
    }
    for id in ["", " \t", "a\0b", format!("{longest}x").as_str()] {
        assert_eq!(kept(id), None);
    }
    let without = NewRawDocument::with_id(None, b"{}");
    assert_eq!((without.external_id, without.body), (None, b"{}".to_vec()));
}
