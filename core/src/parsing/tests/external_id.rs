use super::*;

/// The same id, wherever it stands.
#[track_caller]
fn check(id: &str, expected: Option<&str>) {
    let mapped = format!(r#"{{"person": [{{"key": {id}}}]}}"#);
    assert_eq!(id_at(mapped.as_bytes(), "/person/0/key").as_deref(), expected, "{id}");
    let body = format!(r#"{{"a": {{"id": 7}}, "\ud83d": 1e400, "id": {id}, "skills": []}}"#);
    assert_eq!(id_at(body.as_bytes(), "/id").as_deref(), expected, "{id}");
}

#[test]
fn strings_are_trimmed_and_numbers_stay_as_written() {
    check(r#""a-1""#, Some("a-1"));
    check(r#"" a ""#, Some("a"));
    check(r#""\u00e9\n""#, Some("é"));
    check("17", Some("17"));
    check("0", Some("0"));
    check("-3", Some("-3"));
    check("12345678901234567890123456789", Some("12345678901234567890123456789"));
    check("1.0", Some("1.0"));
    check("1e3", Some("1e3"));
    check(&format!("\"{}\"", "x".repeat(MAX_ID_BYTES)), Some(&"x".repeat(MAX_ID_BYTES)));
}

#[test]
fn anything_else_is_no_id() {
    let long = format!("\"{}\"", "é".repeat(257));
    for id in
        ["null", "\"\"", r#"" \t""#, "true", "[1]", r#"{"id": 1}"#, r#""a\u0000b""#, r#""a\ud83d""#, &long]
    {
        check(id, None);
    }
}

#[test]
fn a_resume_has_the_id_that_it_was_stored_with() {
    let body = br#"{"id": "inside", "skills": []}"#;
    for format in FIXED {
        assert_eq!(parse(format, Some("outside"), body).unwrap().external_id, "outside");
        assert_eq!(parse(format, None, body).unwrap_err().code, ErrorCode::MissingId);
    }
}

#[test]
fn the_last_of_two_ids_counts() {
    let body = br#"{"id": 1, "skills": [], "\u0069d": "two", "id\u0000": 3}"#;
    assert_eq!(id_at(body, "/id").as_deref(), Some("two"));
}

#[test]
fn what_is_no_object_has_no_id() {
    let bodies: [&[u8]; 8] =
        [b"", b"[]", b"[{\"id\": 1}]", b"\"id\"", b"{\"id\": 1", b"{\"id\": 1} x", b"{\"id\": 01}", b"\xFF"];
    for body in bodies {
        assert_eq!(id_at(body, "/id"), None);
    }
}

/// So that the failure of a document can be listed under its id.
#[test]
fn documents_beyond_the_limits_have_an_id() {
    let deep = format!(r#"{{"a": {}{}, "id": 1}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let large = format!(r#"{{"a": "{}", "id": 2}}"#, "x".repeat(MAX_DOCUMENT_BYTES));
    assert_eq!(id_at(deep.as_bytes(), "/id").as_deref(), Some("1"));
    assert_eq!(id_at(large.as_bytes(), "/id").as_deref(), Some("2"));
    let deep_id = format!(r#"{{"id": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(id_at(deep_id.as_bytes(), "/id"), None);
}

#[test]
fn an_id_that_was_read_before_has_the_same_limits() {
    use crate::document::NewDocument;
    let kept = |id: &str| NewDocument::with_id(Some(id.to_owned()), b"{}").external_id;
    let longest = "x".repeat(MAX_ID_BYTES);
    for id in ["a", " a ", "17", longest.as_str()] {
        assert_eq!(kept(id).as_deref(), Some(id));
    }
    for id in ["", " \t", "a\0b", format!("{longest}x").as_str()] {
        assert_eq!(kept(id), None);
    }
    let without = NewDocument::with_id(None, b"{}");
    assert_eq!((without.external_id, without.body), (None, b"{}".to_vec()));
}
