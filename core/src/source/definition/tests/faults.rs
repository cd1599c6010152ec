//! Every fault, by the smallest change that makes it.

use super::*;

/// What `check` says about the smallest definition with one change.
#[track_caller]
pub(super) fn check(at: &str, value: Value, expected: &str) {
    assert_eq!(faults(&with(&[(at, value)])), [expected]);
}

/// Some definitions with a change and no fault.
#[track_caller]
pub(super) fn fine(at: &str, values: impl IntoIterator<Item = Value>) {
    for value in values {
        let definition = with(&[(at, value)]);
        assert_eq!(faults(&definition), [""; 0], "{definition}");
    }
}

#[test]
fn the_smallest_definition_has_none() {
    assert_eq!(faults(&smallest()), [""; 0]);
}

#[test]
fn names() {
    let expected = "/name: write 1 to 63 lower-case letters, digits, `-`, `_` and `.`, not dots alone";
    for name in ["", ".", "..", "Acme", "a b", "a/b", "ä", "a\0", &"a".repeat(64)] {
        check("/name", json!(name), expected);
    }
    fine("/name", ["a", "1", "a.b-c_d", ".a", &"a".repeat(63)].map(|name| json!(name)));
    check("/description", json!("x".repeat(1001)), "/description: 1001 bytes, the most is 1000");
}

#[test]
fn addresses() {
    let write = "/base_url: write https://host/path, or http://, without spaces";
    let odd =
        ["", "ats.example", "//ats.example", "ftp://ats.example", "file:///etc/passwd", "https:ats.example"];
    for address in
        odd.into_iter().chain(["https:///path", "https://a b", " https://a", "https://a\\b", "https://a\n"])
    {
        check("/base_url", json!(address), write);
    }
    for address in ["https://u:secret@ats.example", "https://@ats.example", "https://token@ats.example/v1"] {
        check(
            "/base_url",
            json!(address),
            "/base_url: no user and password here: they belong into `auth`, by reference",
        );
    }
    for address in ["https://a?key=secret", "https://a/#x", "https://a?"] {
        check(
            "/base_url",
            json!(address),
            "/base_url: no `?` and `#` here: parameters belong into `list.params`",
        );
    }
    for address in ["https://a:99999", "https://[::1"] {
        let found = faults(&with(&[("/base_url", json!(address))]));
        assert!(found[0].starts_with("/base_url: no address (") && found.len() == 1, "{found:?}");
    }
    check(
        "/base_url",
        json!("https://{company}.example"),
        "/base_url: no placeholders here: write the address as it is",
    );
    let long = format!("https://a/{}", "x".repeat(2000));
    check("/base_url", json!(long), "/base_url: 2010 bytes, the most is 2000");
    check("/fallback_urls", json!(["https://b", "b"]), &write.replace("/base_url", "/fallback_urls/1"));
    check("/fallback_urls", json!(vec!["https://b"; 9]), "/fallback_urls: 9 addresses, the most is 8");
    fine(
        "/base_url",
        ["http://a", "https://a:8443/x/", "https://[::1]", "https://bücher.example"].map(|a| json!(a)),
    );
}

#[test]
fn refusals() {
    check("/refusals", json!(vec![json!({"status": 403}); 17]), "/refusals: 17 refusals, the most is 16");
    for status in [0, 199, 301, 1000] {
        let expected = format!("/refusals/0/status: {status}: write 400 to 999, or 200 with a text");
        check("/refusals", json!([{"status": status}]), &expected);
    }
    let expected = "/refusals/0/text: missing: a 200 is a refusal only with a text in its body";
    check("/refusals", json!([{"status": 200}]), expected);
    let expected = "/refusals/0/text: empty: write what stands in the body, or leave it out";
    check("/refusals", json!([{"status": 403, "text": " "}]), expected);
    let long = json!([{"status": 403, "text": "x".repeat(201)}]);
    check("/refusals", long, "/refusals/0/text: 201 bytes, the most is 200");
    let fits =
        json!([{"status": 999}, {"status": 400, "text": "slow down"}, {"status": 200, "text": "throttled"}]);
    fine("/refusals", [json!([]), fits]);
    for most in ["0s", "24h 1s"] {
        check("/silence_max", json!(most), "/silence_max: write 1s to 24h, or leave it out");
    }
    fine("/silence_max", [json!("1s"), json!("24h")]);
}

#[test]
fn limits() {
    check("/limits", json!([]), "/limits: empty: write one at least, such as {calls: 10, per: 1s}");
    check("/limits", json!(vec![json!({"calls": 1, "per": "1s"}); 9]), "/limits: 9 limits, the most is 8");
    check("/limits", json!([{"calls": 0, "per": "1s"}]), "/limits/0/calls: 0: write 1 to 1000000");
    check(
        "/limits",
        json!([{"calls": 1_000_001, "per": "1h"}]),
        "/limits/0/calls: 1000001: write 1 to 1000000",
    );
    for per in ["0s", "999us", "24h 1s", "100000years"] {
        check("/limits", json!([{"calls": 1, "per": per}]), "/limits/0/per: write 1ms to 24h");
    }
    let too_fast = "/limits/0: more than 10000 calls a second: write fewer calls or more time";
    check("/limits", json!([{"calls": 10_001, "per": "1s"}]), too_fast);
    check("/limits", json!([{"calls": 11, "per": "1ms"}]), too_fast);
    for burst in [0, 6] {
        let expected = format!("/limits/0/burst: {burst}: write 1 to 5, the calls of the limit");
        check("/limits", json!([{"calls": 5, "per": "1s", "burst": burst}]), &expected);
    }
    fine(
        "/limits",
        [
            json!([{"calls": 10_000, "per": "1s"}]),
            json!([{"calls": 10, "per": "1ms", "burst": 10}]),
            json!([{"calls": 1, "per": "24h"}, {"calls": 1_000_000, "per": "1h"}]),
        ],
    );
    check("/concurrency", json!(0), "/concurrency: 0: write 1 to 1000, or leave it out");
    check("/concurrency", json!(1001), "/concurrency: 1001: write 1 to 1000, or leave it out");
}

#[test]
fn paths() {
    let begins = "/list/path: write a path that begins with one `/`; it follows the base URL";
    for path in
        ["", "candidates", "//evil.example/x", "https://evil.example", "@evil.example", ".evil.example"]
    {
        check("/list/path", json!(path), begins);
    }
    for path in ["/a?b=c", "/a#b"] {
        check(
            "/list/path",
            json!(path),
            "/list/path: no `?` and `#` here: parameters belong into `list.params`",
        );
    }
    for path in ["/../admin", "/a/..", "/./a"] {
        check(
            "/list/path",
            json!(path),
            "/list/path: no `.` and `..` between slashes: write the path itself",
        );
    }
    for path in ["/\\evil.example", "/a b", "/a\nb", "/ä"] {
        check("/list/path", json!(path), "/list/path: write visible ASCII characters, others as %XX");
    }
    check(
        "/list/path",
        json!("/{page}"),
        "/list/path: no placeholders here but {parent} and {id}: others belong into `params` or `body`",
    );
    check("/list/path", json!(format!("/{}", "x".repeat(1000))), "/list/path: 1001 bytes, the most is 1000");
    fine("/list/path", ["/", "/a/b.c", "/a%20b/", "/candidate.list", "/..a"].map(|path| json!(path)));
}

#[test]
fn parameters_and_bodies() {
    check("/list/params", json!({"": "x"}), "/list/params/: a parameter without a name");
    check(
        "/list/params",
        json!({"a/~": "x".repeat(1001)}),
        "/list/params/a~1~0: 1001 bytes, the most is 1000",
    );
    check(
        "/list/params",
        json!({"x".repeat(201): "x"}),
        "/list/params: 201 bytes in a name, the most is 200",
    );
    let many: serde_json::Map<String, Value> = (0..65).map(|n| (n.to_string(), json!(""))).collect();
    check("/list/params", Value::Object(many), "/list/params: 65 parameters, the most is 64");
    check("/list/body", json!({}), "/list/body: goes with `method: post`: a get has none");

    let post = |body: Value| with(&[("/list/method", json!("post")), ("/list/body", body)]);
    assert_eq!(
        faults(&post(json!({"a": [{"b/c": "{nothing}"}], "d": "{page"}))),
        [
            "/list/body/a/0/b~1c: \"{nothing}\": {nothing} is none of the placeholders count, per_page, page, offset, since, \
             until, seed, error_mode, parent, id",
            "/list/body/d: \"{page\": a brace is opened and not closed",
        ]
    );
    let deep = (0..17).fold(json!(1), |inner, _| json!([inner]));
    assert_eq!(faults(&post(deep)), [format!("/list/body{}: nested deeper than 16", "/0".repeat(16))]);
    assert_eq!(faults(&post(json!({"limit": "{per_page}", "a": [null, 1, true, "{count}"]}))), [""; 0]);
}

#[test]
fn pointers() {
    let write = "write a JSON Pointer, such as /data/items, or \"\" for the whole answer";
    let expect = json!({"at": "success", "equals": true, "code": "$.code"});
    let paging =
        |paging: Value| with(&[("/list/paging", paging), ("/list/params", json!({"page": "{page}"}))]);
    check("/list/items", json!("data"), &format!("/list/items: {write}"));
    assert_eq!(
        faults(&with(&[("/list/expect", expect)])),
        [format!("/list/expect/at: {write}"), format!("/list/expect/code: {write}")]
    );
    assert_eq!(
        faults(&paging(json!({"numbered": {"total": "total"}}))),
        [format!("/list/paging/numbered/total: {write}")]
    );
    assert_eq!(
        faults(&paging(json!({"next_url": {"at": "next"}}))),
        [format!("/list/paging/next_url/at: {write}")]
    );
    assert_eq!(
        faults(&paging(json!({"cursor": {"token": "next", "param": "c", "has_more": "more"}}))),
        [format!("/list/paging/cursor/token: {write}"), format!("/list/paging/cursor/has_more: {write}")]
    );
    for pointer in ["/a~", "/a~2b", "/~~0"] {
        let expected = "/list/items: in a JSON Pointer `~` is written ~0, and `/` in a name ~1";
        check("/list/items", json!(pointer), expected);
    }
    let long = format!("/{}", "x".repeat(500));
    check("/list/items", json!(long), "/list/items: 501 bytes, the most is 500");
    fine("/list/items", ["", "/", "/a/0/~0~1", "/ "].map(|pointer| json!(pointer)));
}

#[test]
fn pages() {
    for size in [0, 1001] {
        let expected = format!("/list/per_page_max: {size}: write 1 to 1000");
        check("/list/per_page_max", json!(size), &expected);
    }
    let nowhere = "/list/paging/numbered: {page} or {offset} stands in no parameter: every call would ask for the same page";
    check("/list/paging", json!({"numbered": {}}), nowhere);
    let in_body = [
        ("/list/paging", json!({"numbered": {}})),
        ("/list/method", json!("post")),
        ("/list/body", json!({"page": {"number": "{page}"}})),
    ];
    assert_eq!(faults(&with(&in_body)), [""; 0]);

    let cursor = |param: &str| json!({"cursor": {"token": "/next", "param": param}});
    let name = "/list/paging/cursor/param: write the name of a parameter, 1 to 200 bytes";
    check("/list/paging", cursor(""), name);
    check("/list/paging", cursor(&"x".repeat(201)), name);
    let first = [("/list/paging", cursor("c")), ("/list/params", json!({"c": "*"}))];
    assert_eq!(faults(&with(&first)), [""; 0], "later tokens replace it");
    let post =
        [("/list/paging", cursor("c")), ("/list/method", json!("post")), ("/list/body", json!({"c": 1}))];
    assert_eq!(faults(&with(&post)), [""; 0]);
    let first = |first: &str| json!({"cursor": {"token": "/next", "param": "c", "first": first}});
    fine("/list/paging", ["*", "", "0"].map(first));
    let long = "/list/paging/cursor/first: 1001 bytes, the most is 1000";
    check("/list/paging", first(&"x".repeat(1001)), long);
    let list = [("/list/paging", cursor("c")), ("/list/method", json!("post")), ("/list/body", json!([]))];
    assert_eq!(
        faults(&with(&list)),
        ["/list/body: write an object, which takes the token of the next page as a member"]
    );
    let expired = json!({"cursor": {"token": "/next", "param": "c", "expired": ["ok", " "]}});
    check("/list/paging", expired, "/list/paging/cursor/expired/1: write a code of 1 to 200 bytes");
}

#[test]
fn changes_only() {
    check(
        "/list/params",
        json!({"before": "{until}"}),
        "/list/since: missing: {since} and {until} need it, to say how the system writes times",
    );
    let since = |params: Value, since: Value| with(&[("/list/params", params), ("/list/since", since)]);
    let nowhere = "/list/since: {since} stands in no parameter: write it where the system takes the time, or leave `since` out";
    assert_eq!(faults(&since(json!({}), json!({"format": "epoch_s"}))), [nowhere]);
    assert_eq!(faults(&since(json!({"b": "{until}"}), json!({"format": "epoch_s"}))), [nowhere]);
    let params = json!({"a": "gte|{since}"});
    let long = json!({"format": "rfc3339", "overlap": "31days"});
    assert_eq!(faults(&since(params.clone(), long)), ["/list/since/overlap: write 0s to 30days"]);
    assert_eq!(faults(&since(params, json!({"format": "epoch_ms", "overlap": "0s"}))), [""; 0]);
}

#[test]
fn mappings() {
    check(
        "/format",
        json!("mapped"),
        "/map: missing: format `mapped` needs it, to say where the fields of a resume are",
    );
    check(
        "/map",
        json!({"name": "name"}),
        "/map: goes with format `mapped`, not with `profile`: leave it out",
    );
    check(
        "/list/id",
        json!("/uuid"),
        "/list/id: goes with format `mapped`: items of `profile` have their id in /id",
    );
    let mapped =
        |map: Value| with(&[("/format", json!("mapped")), ("/map", map), ("/list/id", json!("/uuid"))]);
    assert_eq!(
        faults(&mapped(json!({}))),
        ["/map: holds no expression: write one for a field of the resume at least"]
    );
    let found = faults(&mapped(json!({"name": "first name", "skills": "tags[", "educations": "nosuch(@)"})));
    assert_eq!(found.len(), 3, "{found:?}");
    for (fault, at) in
        found.iter().zip(["/map/name: ", "/map/skills: ", "/map/educations: nosuch is no function"])
    {
        assert!(fault.starts_with(at), "{found:?}");
    }
    assert_eq!(faults(&mapped(json!({"name": "name"}))), [""; 0]);
}

#[test]
fn all_faults_are_found_at_once() {
    let definition =
        with(&[("/name", json!("")), ("/base_url", json!("x")), ("/limits", json!([])), ("/map", json!({}))]);
    let places: Vec<String> =
        faults(&definition).iter().map(|fault| fault.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(places, ["/name", "/base_url", "/limits", "/map"]);
    let error = Definition::from_json(&definition).unwrap_err().to_string();
    assert_eq!(error, faults(&definition).join("; "));
}

#[test]
fn a_wrong_shape_is_named_with_its_place() {
    let check = |at: &str, value: Value, expected: &str| {
        let found = faults(&with(&[(at, value)]));
        assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
    };
    check("/limits", json!([{"calls": "x", "per": "1s"}]), "/limits/0/calls: invalid type: string \"x\"");
    check(
        "/limits",
        json!([{"calls": 1, "per": "fast"}]),
        "/limits/0/per: \"fast\" is no length of time such as 1s",
    );
    check(
        "/list/params",
        json!({"a/b": "{x}"}),
        "/list/params/a~1b: \"{x}\": {x} is none of the placeholders",
    );
    check("/list/paging", json!({"cursor": {"token": 1}}), "/list/paging/cursor/token: invalid type");
    check("/list/paging", json!({"guess": {}}), "/list/paging: unknown variant `guess`");
    check("/nosuch", json!(1), "/nosuch: unknown field `nosuch`");
    check("/format", Value::Null, ": missing field `format`");
}

#[test]
fn defaults() {
    check(
        "/defaults",
        json!({"count": 0}),
        "/defaults/count: 0: write 1 or more, or leave it out for everything",
    );
    check("/defaults", json!({"per_page": 0}), "/defaults/per_page: 0: write 1 or more, or leave it out");
    fine("/defaults", [json!({}), json!({"count": 1, "per_page": 1})]);
}
