use super::*;

fn shape(list: Value, is_mapped: bool) -> Shape {
    let mut definition = serde_json::json!({
        "name": "ats", "base_url": "https://ats.example", "limits": [{"calls": 1, "per": "1s"}],
        "format": "profile", "list": list,
    });
    if is_mapped {
        definition["map"] = serde_json::json!({});
    }
    let definition = serde_json::from_value(definition).unwrap();
    Shape::of(&definition, Step::List, &crate::probe::first_page(&definition, Step::List)).unwrap()
}

fn next_url() -> Shape {
    let paging = serde_json::json!({"next_url": {"at": "/next"}});
    shape(serde_json::json!({"path": "/people", "items": "/results", "paging": paging}), false)
}

fn cursor() -> Shape {
    let paging = serde_json::json!({"cursor": {
        "token": "/page/token", "param": "cursor", "has_more": "/more", "expired": ["cursor expired"],
    }});
    let expect = serde_json::json!({"at": "/success", "equals": true, "code": "/errors/0"});
    shape(serde_json::json!({"path": "/people", "items": "/data", "paging": paging, "expect": expect}), false)
}

fn single(items: &str, is_mapped: bool) -> Shape {
    let paging = serde_json::json!({"single": {}});
    shape(
        serde_json::json!({"path": "/people", "items": items, "id": "/person/id", "paging": paging}),
        is_mapped,
    )
}

fn code(result: Result<Page, CallError>) -> String {
    result.unwrap_err().code().unwrap()
}

#[test]
fn items_are_kept_verbatim() {
    let body = br#"{"results": [ {"id" : "1",  "skills":[]}, 7 ], "next": null, "more": {}}"#;
    let page = next_url().decode(body).unwrap();
    let bodies: Vec<&[u8]> = page.items.iter().map(|item| item.body.as_slice()).collect();
    assert_eq!(bodies, [br#"{"id" : "1",  "skills":[]}"#.as_slice(), b"7"]);
    assert_eq!(page.items[0].external_id.as_deref(), Some("1"));
    assert_eq!(page.items[1].external_id, None);
    assert_eq!(page.next, None);
}

#[test]
fn broken_pages_are_told_apart() {
    for (body, expected) in [
        ("", "page_invalid_json"),
        ("<html>", "page_invalid_json"),
        (r#"{"results": ["#, "page_invalid_json"),
        (r#"{"results": []"#, "page_invalid_json"),
        (r#"{"results": []} {}"#, "page_invalid_json"),
        ("[]", "page_invalid_shape"),
        ("null", "page_invalid_shape"),
        (r#"{"results": {}}"#, "page_invalid_shape"),
        (r#"{"results": null}"#, "page_invalid_shape"),
        (r#"{"next": null}"#, "page_invalid_shape"),
        (r#"{"results": [], "next": 3}"#, "page_invalid_shape"),
        (r#"{"results": [], "next": "\ud800"}"#, "page_invalid_shape"),
    ] {
        assert_eq!(code(next_url().decode(body.as_bytes())), expected, "{body}");
    }
    assert_eq!(code(next_url().decode(b"{\"results\": [\"\xff\"]}")), "page_invalid_json");
}

#[test]
fn errors_name_the_place() {
    let error = next_url().decode(br#"{"results": {}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the page has an object at \"/results\", where the list of items should be"
    );
}

#[test]
fn the_last_page_has_no_next_address() {
    for next in ["", r#", "next": null"#, r#", "next": """#] {
        let body = format!(r#"{{"results": []{next}}}"#);
        assert_eq!(next_url().decode(body.as_bytes()).unwrap().next, None, "{body}");
    }
    let page = next_url().decode(br#"{"next": "\/x?a=\u0062", "results": []}"#).unwrap();
    assert_eq!(page.next.as_deref(), Some("/x?a=b"));
}

#[test]
fn a_bare_list_and_a_byte_order_mark_are_read() {
    let page = single("", false).decode(b"\xef\xbb\xbf [{\"id\": 1}]").unwrap();
    assert_eq!(page.items[0].external_id.as_deref(), Some("1"));
    assert_eq!(page.items[0].body, b"{\"id\": 1}");
    assert_eq!(single("/a~1b/0/c", false).decode(br#"{"a/b":[{"c":[1,2]}]}"#).unwrap().items.len(), 2);
}

#[test]
fn the_id_of_a_mapped_item_is_where_the_definition_says() {
    let body =
        br#"[{"person":{"id":"a/1"}}, {"person":{"id":12345678901234567890123}}, {"person":{"id":1.5}},
                    {"person":{"id":null}}, {"id":"no"}, [], {"person":{"id":" "}}]"#;
    let page = single("", true).decode(body).unwrap();
    let ids: Vec<Option<&str>> = page.items.iter().map(|item| item.external_id.as_deref()).collect();
    assert_eq!(ids, [Some("a/1"), Some("12345678901234567890123"), Some("1.5"), None, None, None, None]);
}

#[test]
fn deep_items_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let body = format!(r#"[{deep}, {{"person": {deep}}}, {{"person":{{"id":"x"}}}}]"#);
    for is_mapped in [false, true] {
        let page = single("", is_mapped).decode(body.as_bytes()).unwrap();
        assert_eq!(page.items[0].body.len(), deep.len());
        assert_eq!(page.items[2].external_id.as_deref(), is_mapped.then_some("x"));
    }
}

#[test]
fn too_many_items_are_refused() {
    let body = format!("[{}1]", "1,".repeat(ITEMS_MAX - 1));
    assert_eq!(single("", false).decode(body.as_bytes()).unwrap().items.len(), ITEMS_MAX);
    let body = format!("[{}1]", "1,".repeat(ITEMS_MAX));
    assert_eq!(code(single("", false).decode(body.as_bytes())), "page_too_large");
}

#[test]
fn tokens_are_texts_or_integers() {
    let next = |rest: &str| {
        let body = format!(r#"{{"success": true, "data": []{rest}}}"#);
        cursor().decode(body.as_bytes()).map(|page| page.next)
    };
    assert_eq!(next(r#", "more": true, "page": {"token": "a b"}"#).unwrap().as_deref(), Some("a b"));
    assert_eq!(next(r#", "more": null, "page": {"token": 17}"#).unwrap().as_deref(), Some("17"));
    for last in ["", r#", "more": false, "page": {"token": "a"}"#, r#", "more": null, "page": {"token": ""}"#]
    {
        assert_eq!(next(last).unwrap(), None, "{last}");
    }
    for (rest, expected) in [
        (r#", "more": true"#, "next_token_missing"),
        (r#", "more": true, "page": {"token": null}"#, "next_token_missing"),
        (r#", "more": "true", "page": {"token": "a"}"#, "page_invalid_shape"),
        (r#", "page": {"token": {}}"#, "page_invalid_shape"),
        (r#", "page": {"token": 1.5}"#, "page_invalid_shape"),
        (r#", "page": {"token": "a\u0000"}"#, "page_invalid_shape"),
        (r#", "page": {"token": "\n"}"#, "page_invalid_shape"),
    ] {
        assert_eq!(next(rest).unwrap_err().code().as_deref(), Some(expected), "{rest}");
    }
    let long = format!(r#", "page": {{"token": "{}"}}"#, "x".repeat(LINK_BYTES_MAX + 1));
    assert_eq!(next(&long).unwrap_err().code().as_deref(), Some("page_invalid_url"));
}

#[test]
fn an_answer_that_is_no_success_is_refused() {
    for (body, expected) in [
        (r#"{"success": false, "errors": ["invalid key!"]}"#, "source_refused:invalid_key_"),
        (r#"{"success": false, "errors": [17]}"#, "source_refused:17"),
        (r#"{"success": false, "errors": [" "]}"#, "source_refused"),
        (r#"{"success": false, "errors": [{}]}"#, "source_refused"),
        (r#"{"success": "true", "data": []}"#, "source_refused"),
        (r#"{"data": []}"#, "source_refused"),
        (r#"{"success": false, "errors": ["cursor expired"]}"#, "cursor_expired"),
    ] {
        assert_eq!(code(cursor().decode(body.as_bytes())), expected, "{body}");
    }
    let long =
        format!(r#"{{"success": false, "errors": ["{}"]}}"#, "\u{e4}\n".repeat(10_000).replace('\n', "\\n"));
    assert_eq!(code(cursor().decode(long.as_bytes())), format!("source_refused:{}", "_".repeat(64)));
}

#[test]
fn totals_are_whole_numbers() {
    let paging = serde_json::json!({"numbered": {"total": "/meta/total"}});
    let shape = shape(serde_json::json!({"path": "/people", "items": "/data", "paging": paging}), false);
    let total = |total: &str| {
        shape
            .decode(format!(r#"{{"data": [], "meta": {{"total": {total}}}}}"#).as_bytes())
            .map(|page| page.total)
    };
    assert_eq!(total("120").unwrap(), Some(120));
    assert_eq!(total("\"120\"").unwrap(), Some(120));
    assert_eq!(total("null").unwrap(), None);
    for invalid in ["-1", "1.5", "\"many\"", "99999999999999999999", "[]"] {
        assert_eq!(total(invalid).unwrap_err().code().as_deref(), Some("page_invalid_shape"), "{invalid}");
    }
}
