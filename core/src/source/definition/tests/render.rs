use strum::VariantNames;

use super::*;

/// The list call with these parameters and this body.
fn list(params: Value, body: Value) -> ListCall {
    let mut list = smallest()["list"].take();
    list["method"] = json!("post");
    list["params"] = params;
    list["body"] = body;
    serde_json::from_value(list).unwrap()
}

pub(super) fn values() -> Values {
    Values {
        count: Some(500),
        per_page: 50,
        page: 3,
        offset: 100,
        since: None,
        until: None,
        seed: -7,
        error_mode: true,
        parent: None,
        id: None,
    }
}

fn params(list: &ListCall, values: &Values) -> Vec<String> {
    list.render_params(values).into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

#[test]
fn every_placeholder_has_its_value() {
    let all: serde_json::Map<String, Value> =
        Placeholder::VARIANTS.iter().map(|name| ((*name).to_owned(), json!(format!("{{{name}}}")))).collect();
    let list = list(Value::Object(all.clone()), Value::Object(all));
    let mut values = values();
    let expected = ["count=500", "error_mode=true", "offset=100", "page=3", "per_page=50", "seed=-7"];
    assert_eq!(params(&list, &values), expected);
    let body =
        json!({"count": 500, "error_mode": true, "offset": 100, "page": 3, "per_page": 50, "seed": -7});
    assert_eq!(list.render_body(&values), Some(body));

    values.since = Some("2026-11-24T02:00:00.000Z".to_owned());
    values.until = Some("1700000000000".to_owned());
    assert!(params(&list, &values).contains(&"since=2026-11-24T02:00:00.000Z".to_owned()));
    let body = list.render_body(&values).unwrap();
    assert_eq!(body["since"], "2026-11-24T02:00:00.000Z");
    assert_eq!(body["until"], 1_700_000_000_000_i64);
}

#[test]
fn texts_around_placeholders_stay() {
    let params_of = json!({"a": "gte|{since}|lte|{until}", "b": "{page}/{per_page}", "c": "plain", "d": 7, "e": true, "f": ""});
    let list = list(params_of, Value::Null);
    let mut values = values();
    assert_eq!(params(&list, &values), ["b=3/50", "c=plain", "d=7", "e=true", "f="]);
    values.since = Some("1".to_owned());
    assert_eq!(params(&list, &values)[0], "b=3/50", "one of two has no value");
    values.until = Some("2".to_owned());
    assert_eq!(params(&list, &values)[0], "a=gte|1|lte|2");
    assert_eq!(list.render_body(&values), None);
}

#[test]
fn members_of_a_body_go_with_their_value() {
    let body = json!({
        "filter": {"since": "{since}", "kind": "x"},
        "list": ["{page}", "{since}", "p{page}", null, {"until": "{until}"}],
        "n": 1.5, "t": "{per_page} each", "no template": "{",
    });
    let list = list(json!({}), body);
    let expected = json!({
        "filter": {"kind": "x"},
        "list": [3, "p3", null, {}],
        "n": 1.5, "t": "50 each", "no template": "{",
    });
    assert_eq!(list.render_body(&values()), Some(expected));
}

#[test]
fn a_body_without_a_value_is_none() {
    assert_eq!(list(json!({}), json!("{since}")).render_body(&values()), None);
    assert_eq!(list(json!({}), json!("{page}")).render_body(&values()), Some(json!(3)));
}

#[test]
fn templates_are_shown_as_they_were_written() {
    for text in ["", "a", "{page}", "a{page}b{offset}c", "}", "a}b"] {
        assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
    }
    for text in ["{", "{page", "{}", "{Page}", "{ page }", "{{page}}", "a{b}c"] {
        text.parse::<Template>().unwrap_err();
    }
}
