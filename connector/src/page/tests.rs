use super::*;

fn shape(list: Value) -> Shape {
    shape_of(list, 1)
}

/// How the page of this number is read.
fn shape_of(list: Value, page: u32) -> Shape {
    let definition = serde_json::json!({
        "name": "ats", "base_url": "https://ats.example", "limits": [{"calls": 1, "per": "1s"}],
        "format": "profile", "list": list,
    });
    let definition = serde_json::from_value(definition).unwrap();
    let first = crate::probe::first_page(&definition, Step::List);
    let offset = u64::from((page - 1) * first.per_page);
    Shape::of(&definition, Step::List, &Values { page, offset, ..first }).unwrap()
}

fn next_url() -> Shape {
    let paging = serde_json::json!({"next_url": {"at": "/next"}});
    shape(serde_json::json!({"path": "/people", "items": "/results", "paging": paging}))
}

fn cursor() -> Shape {
    let paging = serde_json::json!({"cursor": {
        "token": "/page/token", "param": "cursor", "has_more": "/more", "expired": ["cursor expired"],
    }});
    let expect = serde_json::json!({"at": "/success", "equals": true, "code": "/errors/0"});
    shape(serde_json::json!({"path": "/people", "items": "/data", "paging": paging, "expect": expect}))
}

fn single(items: &str, id: &str) -> Shape {
    let paging = serde_json::json!({"single": {}});
    shape(serde_json::json!({"path": "/people", "items": items, "id": id, "paging": paging}))
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
        ("[1]", "page_invalid_shape"),
        (r#"{"results": {"a": 1}}"#, "page_invalid_shape"),
        (r#"{"results": 0}"#, "page_invalid_shape"),
        (r#"{"results": null, "errors": ["no"]}"#, "page_invalid_shape"),
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
    let error = next_url().decode(br#"{"results": {"a": 1}}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the page has an object at \"/results\", where the list of items should be"
    );
}

#[test]
fn the_last_page_has_no_next_address() {
    for next in ["", r#", "next": null"#, r#", "next": """#, r#", "next": false"#, r#", "next": 0"#] {
        let body = format!(r#"{{"results": []{next}}}"#);
        assert_eq!(next_url().decode(body.as_bytes()).unwrap().next, None, "{body}");
    }
    let page = next_url().decode(br#"{"next": "\/x?a=\u0062", "results": []}"#).unwrap();
    assert_eq!(page.next.as_deref(), Some("/x?a=b"));
}

#[test]
fn a_bare_list_and_a_byte_order_mark_are_read() {
    let page = single("", "/id").decode(b"\xef\xbb\xbf [{\"id\": 1}]").unwrap();
    assert_eq!(page.items[0].external_id.as_deref(), Some("1"));
    assert_eq!(page.items[0].body, b"{\"id\": 1}");
    assert_eq!(single("/a~1b/0/c", "/id").decode(br#"{"a/b":[{"c":[1,2]}]}"#).unwrap().items.len(), 2);
}

#[test]
fn the_id_of_a_mapped_item_is_where_the_definition_says() {
    let body =
        br#"[{"person":{"id":"a/1"}}, {"person":{"id":12345678901234567890123}}, {"person":{"id":1.5}},
                    {"person":{"id":null}}, {"id":"no"}, [], {"person":{"id":" "}}]"#;
    let page = single("", "/person/id").decode(body).unwrap();
    let ids: Vec<Option<&str>> = page.items.iter().map(|item| item.external_id.as_deref()).collect();
    assert_eq!(ids, [Some("a/1"), Some("12345678901234567890123"), Some("1.5"), None, None, None, None]);
}

#[test]
fn deep_items_do_no_harm() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let body = format!(r#"[{deep}, {{"person": {deep}}}, {{"person":{{"id":"x"}}}}]"#);
    let page = single("", "/person/id").decode(body.as_bytes()).unwrap();
    assert_eq!(page.items[0].body.len(), deep.len());
    assert_eq!(page.items[2].external_id.as_deref(), Some("x"));
}

#[test]
fn too_many_items_are_refused() {
    let body = format!("[{}1]", "1,".repeat(ITEMS_MAX - 1));
    assert_eq!(single("", "/id").decode(body.as_bytes()).unwrap().items.len(), ITEMS_MAX);
    let body = format!("[{}1]", "1,".repeat(ITEMS_MAX));
    assert_eq!(code(single("", "/id").decode(body.as_bytes())), "page_too_large");
}

#[test]
fn tokens_are_texts_or_integers() {
    let next = |rest: &str| {
        let body = format!(r#"{{"success": true, "data": []{rest}}}"#);
        cursor().decode(body.as_bytes()).map(|page| page.next)
    };
    assert_eq!(next(r#", "more": true, "page": {"token": "a b"}"#).unwrap().as_deref(), Some("a b"));
    assert_eq!(next(r#", "more": null, "page": {"token": 17}"#).unwrap().as_deref(), Some("17"));
    assert_eq!(next(r#", "more": true, "page": {"token": 0}"#).unwrap().as_deref(), Some("0"));
    for more in ["true", "\"true\"", "\" TRUE \"", "1", "\"1\"", "\"yes\"", "3", "null", "-1", "\"?\"", "{}"]
    {
        let rest = format!(r#", "more": {more}, "page": {{"token": "a"}}"#);
        assert_eq!(next(&rest).unwrap().as_deref(), Some("a"), "{rest}");
    }
    for more in ["false", "\"false\"", "\"False\"", "0", "0.0", "\"0\"", "\"no\""] {
        let rest = format!(r#", "more": {more}, "page": {{"token": "a"}}"#);
        assert_eq!(next(&rest).unwrap(), None, "{rest}");
    }
    for token in ["null", "\"\"", "\"  \"", "false", "0", "-1", "{}", "[]"] {
        let rest = format!(r#", "more": null, "page": {{"token": {token}}}"#);
        assert_eq!(next(&rest).unwrap(), None, "{rest}");
    }
    assert_eq!(next("").unwrap(), None);
    for (rest, expected) in [
        (r#", "more": true"#, "next_token_missing"),
        (r#", "more": true, "page": {"token": null}"#, "next_token_missing"),
        (r#", "more": "1", "page": {"token": " "}"#, "next_token_missing"),
        (r#", "page": {"token": true}"#, "next_token_missing"),
        (r#", "page": {"token": {"a": 1}}"#, "page_invalid_shape"),
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

fn numbered(page: u32) -> Shape {
    let paging = serde_json::json!({"numbered": {"total": "/meta/total"}});
    let list = serde_json::json!({"path": "/people", "items": "/data", "per_page_max": 2, "paging": paging});
    shape_of(list, page)
}

/// The total that a page tells with this in its place and so many items.
fn total_of(page: u32, total: &str, items: usize) -> Option<u64> {
    let items = vec!["{}"; items].join(",");
    let body = format!(r#"{{"data": [{items}], "meta": {{"total": {total}}}}}"#);
    numbered(page).decode(body.as_bytes()).unwrap().total
}

#[test]
fn a_total_that_is_none_says_nothing() {
    for announced in ["120", "\"120\"", "\" 120 \"", "120.0", "1.2e2", "\"120.0\""] {
        assert_eq!(total_of(1, announced, 2), Some(120), "{announced}");
    }
    for none in [
        "null",
        "-1",
        "\"-1\"",
        "1.5",
        "\"many\"",
        "\"\"",
        "1e300",
        "99999999999999999999",
        "[]",
        "{}",
        "true",
    ] {
        assert_eq!(total_of(1, none, 2), None, "{none}");
    }
    assert_eq!(numbered(1).decode(br#"{"data": []}"#).unwrap().total, None);
}

#[test]
fn a_total_that_cannot_be_true_says_nothing() {
    for (page, total, items, announced) in [
        (1, "0", 0, Some(0)),
        (1, "0", 2, None),
        (1, "1", 2, None),
        (1, "2", 2, Some(2)),
        (2, "4", 2, Some(4)),
        (2, "3", 2, None),
        (2, "0", 2, None),
        // Behind the end.
        (3, "3", 0, Some(3)),
        (3, "0", 0, None),
    ] {
        assert_eq!(total_of(page, total, items), announced, "page {page}: {items} of {total}");
    }
}

#[test]
fn behind_its_end_a_list_may_be_nothing_in_any_form() {
    let items = |shape: &Shape, body: &str| shape.decode(body.as_bytes()).map(|page| page.items.len());
    for body in [
        "",
        " \n",
        "\u{feff}",
        "null",
        "{}",
        "[]",
        r#"{"data": null, "meta": {}}"#,
        r#"{"data": { }}"#,
        r#"{"data": ""}"#,
        r#"{"meta": {"total": 4}}"#,
        r#"{"page": 3, "errors": []}"#,
    ] {
        assert_eq!(items(&numbered(3), body).unwrap(), 0, "{body}");
    }
    for body in [
        r#"{"error": "busy"}"#,
        r#"{"data": null, "errors": [{"message": "busy"}]}"#,
        r#"{"message": "busy"}"#,
        r#"{"data": {"message": "busy"}}"#,
        r#"{"data": "busy"}"#,
        r#""busy""#,
        "0",
    ] {
        assert_eq!(code(numbered(3).decode(body.as_bytes())), "page_invalid_shape", "{body}");
    }
    // A chain knows its answers by what leads on, or by what the list stood in.
    let chain = |items: &str| {
        let paging = serde_json::json!({"cursor": {"token": "/next", "param": "cursor"}});
        shape_of(serde_json::json!({"path": "/people", "items": items, "paging": paging}), 3)
    };
    let page = chain("/data").decode(br#"{"data": null, "next": "t4"}"#).unwrap();
    assert_eq!((page.items.len(), page.next.as_deref()), (0, Some("t4")));
    assert_eq!(items(&chain("/data"), r#"{"next": null}"#).unwrap(), 0);
    assert_eq!(items(&chain("/result/data"), r#"{"result": {"page": 3}}"#).unwrap(), 0);
    assert_eq!(code(chain("/data").decode(br#"{"status": "busy"}"#)), "page_invalid_shape");
}

/// There a list that is not found is more likely a mistake in the definition.
#[test]
fn the_first_page_may_be_empty_too() {
    for body in [r#"{"data": null}"#, r#"{"data": {}}"#, "{}", "null"] {
        assert_eq!(numbered(1).decode(body.as_bytes()).unwrap().items.len(), 0, "{body}");
    }
    assert_eq!(code(numbered(1).decode(br#"{"meta": {"total": 4}, "people": [1]}"#)), "page_invalid_shape");
    assert_eq!(code(numbered(1).decode(b"")), "page_invalid_json");
}

#[test]
fn an_item_says_when_it_was_changed() {
    let paging = serde_json::json!({"single": {}});
    let list =
        serde_json::json!({"path": "/people", "items": "", "updated_at": "/meta/changed", "paging": paging});
    let page =
        shape(list).decode(br#"[{"meta": {"changed": 1795485600}}, {"meta": {"changed": "soon"}}]"#).unwrap();
    let times: Vec<_> = page.items.iter().map(|item| item.updated_at.map(|time| time.timestamp())).collect();
    assert_eq!(times, [Some(1_795_485_600), None]);
}
