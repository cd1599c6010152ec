//! Parents and details: what is wrong with them, and what they ask for.

use super::*;

/// A definition with parents and details, and these changes.
fn stepped(changes: &[(&str, Value)]) -> Value {
    let steps = [
        ("/parents", json!({"path": "/positions", "items": "", "id": "/_id", "paging": {"single": {}}})),
        ("/list/path", json!("/positions/{parent}/candidates")),
        ("/detail", json!({"path": "/candidates/{id}"})),
        ("/format", json!("mapped")),
        ("/map", json!({"name": "name"})),
    ];
    with(&steps.into_iter().chain(changes.iter().cloned()).collect::<Vec<_>>())
}

#[track_caller]
fn check(at: &str, value: Value, expected: &[&str]) {
    assert_eq!(faults(&stepped(&[(at, value)])), expected);
}

#[test]
fn parents_and_their_lists_need_each_other() {
    check(
        "/list/path",
        json!("/candidates"),
        &["/list: {parent} stands nowhere in it: every parent would have the same list"],
    );
    let needs = "{parent} needs `parents`, the call that lists the parents, and does not stand in it";
    check("/parents", Value::Null, &[&format!("/list: {needs}")]);
    check("/parents/params", json!({"of": "{parent}"}), &[&format!("/parents: {needs}")]);
    let fine = stepped(&[("/list/path", json!("/candidates")), ("/list/params", json!({"of": "{parent}"}))]);
    assert_eq!(faults(&fine), [""; 0]);
}

#[test]
fn details_ask_for_one_item() {
    check(
        "/detail/path",
        json!("/candidates"),
        &["/detail: {id} stands nowhere in it: every call would ask for the same item"],
    );
    check("/detail/path", json!("/positions/{parent}/candidates/{id}"), &[]);
    check(
        "/detail/params",
        json!({"size": "{per_page}"}),
        &["/detail: {per_page} is of the list: leave it out here"],
    );
    check(
        "/list/path",
        json!("/p/{parent}/{id}"),
        &["/list: {id} stands for an item, which only `detail` asks for"],
    );
    let profile = stepped(&[("/format", json!("profile")), ("/map", Value::Null)]);
    let expected =
        "/detail: goes with format `mapped`: an item has the id that the list gives it, wherever it stands";
    assert_eq!(faults(&profile), [expected]);
}

#[test]
fn what_only_one_list_can_know_stands_in_no_other() {
    check(
        "/list/params",
        json!({"count": "{count}"}),
        &["/list/params: {count} does not go with `parents`: no list is asked for all items"],
    );
    check(
        "/parents/params",
        json!({"since": "{since}"}),
        &["/parents: {since} is of the list: leave it out here"],
    );
    check("/parents/params", json!({"size": "{per_page}"}), &[]);
}

#[test]
fn faults_are_told_where_they_are() {
    let path = "no placeholders here but {parent} and {id}: others belong into `params` or `body`";
    check("/parents/path", json!("/{page}"), &[&format!("/parents/path: {path}")]);
    check(
        "/detail/path",
        json!("/{id}/{what}"),
        &[
            &format!("/detail/path: {path}"),
            "/detail: {id} stands nowhere in it: every call would ask for the same item",
        ],
    );
    let pointer = "write a JSON Pointer, such as /data/items, or \"\" for the whole answer";
    check("/detail/item", json!("candidate"), &[&format!("/detail/item: {pointer}")]);
    check("/parents/id", json!("_id"), &[&format!("/parents/id: {pointer}")]);
    check(
        "/parents/paging",
        json!({"next_url": {"at": "next"}}),
        &[&format!("/parents/paging/next_url/at: {pointer}")],
    );
    check(
        "/parents/paging",
        json!({"numbered": {}}),
        &[
            "/parents/paging/numbered: {page} or {offset} stands in no parameter: every call would ask for the same page",
        ],
    );
    check("/parents/per_page_max", json!(0), &["/parents/per_page_max: 0: write 1 to 1000"]);
}

#[test]
fn values_in_a_path_cannot_leave_their_place() {
    let definition: Definition = serde_json::from_value(stepped(&[])).unwrap();
    let values =
        |parent: Option<&str>| Values { parent: parent.map(str::to_owned), ..super::render::values() };
    let path = |parent| definition.list.render_path(&values(parent));
    assert_eq!(
        path(Some("a/b?c#d e%ü~")).as_deref(),
        Some("/positions/a%2Fb%3Fc%23d%20e%25%C3%BC~/candidates")
    );
    assert_eq!(path(None), None, "a path with a hole leads elsewhere");
    assert!(definition.list.is_fanned_out() && !definition.list.is_windowed());
}

#[test]
fn a_parent_anywhere_makes_a_list_for_each() {
    for (at, value) in [
        ("/list/path", json!("/{parent}")),
        ("/list/params", json!({"of": "p-{parent}"})),
        ("/list/body", json!({"filter": [{"position": "{parent}"}]})),
    ] {
        let definition: Definition = serde_json::from_value(with(&[(at, value)])).unwrap();
        assert!(definition.list.is_fanned_out());
    }
    let plain: Definition = serde_json::from_value(smallest()).unwrap();
    assert!(!plain.list.is_fanned_out());
}

/// A definition that asks for changes, with what it says of those who were deleted.
fn deleting(deleted: Value, changes: &[(&str, Value)]) -> Vec<String> {
    let changes_only = [
        ("/list/params", json!({"updated": "{since}"})),
        ("/list/since", json!({"format": "epoch_ms"})),
        ("/list/deleted", deleted),
    ];
    faults(&with(&changes_only.into_iter().chain(changes.iter().cloned()).collect::<Vec<_>>()))
}

/// A feed of those who were deleted, with this in place of its parameters.
fn feed(params: Value) -> Value {
    json!({"feed": {"path": "/deleted", "params": params, "items": "", "paging": {"single": {}}}})
}

#[test]
fn who_was_deleted_is_told_in_one_way_at_least() {
    for deleted in [
        json!({"missing": "keep"}),
        json!({"missing": "hide"}),
        json!({"flag": "/deleted_at"}),
        feed(json!({})),
    ] {
        assert_eq!(deleting(deleted, &[]), [""; 0]);
    }
    assert_eq!(
        deleting(json!({}), &[]),
        ["/list/deleted: write `missing`, `feed` or `flag`: how it is known that somebody was deleted"]
    );
    let whole = "/list/deleted/flag: \"\" is the item itself: write where in it stands that it was deleted, such as /deleted_at";
    assert_eq!(deleting(json!({"flag": ""}), &[]), [whole]);
    let pointer =
        "/list/deleted/flag: write a JSON Pointer, such as /data/items, or \"\" for the whole answer";
    assert_eq!(deleting(json!({"flag": "deleted_at"}), &[]), [pointer]);
    let unknown = deleting(json!({"flags": "/deleted_at"}), &[]);
    assert!(
        unknown.len() == 1 && unknown[0].starts_with("/list/deleted/flags: unknown field `flags`"),
        "{unknown:?}"
    );
}

#[test]
fn a_feed_is_a_list_of_its_own() {
    assert_eq!(
        deleting(feed(json!({"from": "{since}", "to": "{until}", "size": "{per_page}"})), &[]),
        [""; 0]
    );
    let since =
        "/list/deleted/feed: {since} and {until} need `list.since`, to say how the system writes times";
    let never = [("/list/since", Value::Null), ("/list/params", json!({}))];
    assert_eq!(deleting(feed(json!({"from": "{since}"})), &never), [since]);
    for (placeholder, expected) in [
        ("{count}", "/list/deleted/feed: {count} is of the list: leave it out here"),
        ("{parent}", "/list/deleted/feed: {parent} is of the list: leave it out here"),
        ("{id}", "/list/deleted/feed: {id} stands for an item, which only `detail` asks for"),
    ] {
        assert_eq!(deleting(feed(json!({"x": placeholder})), &[]), [expected]);
    }
    let bad = json!({"feed": {"path": "deleted", "items": "data", "paging": {"numbered": {}}}});
    let found = deleting(bad, &[]);
    let places: Vec<&str> = found.iter().map(|fault| fault.split(':').next().unwrap()).collect();
    assert_eq!(
        places,
        ["/list/deleted/feed/path", "/list/deleted/feed/items", "/list/deleted/feed/paging/numbered"]
    );
}

/// What was stored before there were other ways is read as it was.
#[test]
fn a_policy_for_the_missing_stays_as_it_is_written() {
    let value = with(&[("/list/deleted", json!({"missing": "hide"}))]);
    let definition = Definition::from_json(&value).unwrap();
    assert!(definition.list.hides_missing() && definition.call_of(Step::Deleted).is_none());
    assert_eq!(serde_json::to_value(&definition).unwrap()["list"]["deleted"], value["list"]["deleted"]);
}

/// A source that lists nobody, with these changes.
fn knowing(changes: &[(&str, Value)]) -> Vec<String> {
    let known = [
        ("/list", Value::Null),
        ("/known", json!({"url": "https://github.com/{id}"})),
        ("/detail", json!({"path": "/users/{id}"})),
        ("/format", json!("mapped")),
        ("/map", json!({"name": "name"})),
    ];
    faults(&with(&known.into_iter().chain(changes.iter().cloned()).collect::<Vec<_>>()))
}

#[test]
fn who_is_known_is_asked_for_without_a_list() {
    assert_eq!(knowing(&[]), [""; 0]);
    let lists_nobody =
        "a source with `known` lists nobody and is asked for each person anew: leave this out, or `known`";
    let list = json!({
        "path": "/users", "params": {"after": "{since}"}, "items": "", "paging": {"single": {}}, "since": {"format": "rfc3339"},
    });
    assert_eq!(knowing(&[("/list", list)]), [format!("/list: {lists_nobody}")]);
    let parents = json!({"path": "/teams", "items": "", "paging": {"single": {}}});
    assert_eq!(knowing(&[("/parents", parents)]), [format!("/parents: {lists_nobody}")]);
    assert_eq!(
        knowing(&[("/detail", Value::Null)]),
        ["/detail: missing: `known` needs it, the call that gives one person, by {id}"]
    );
    let list = [
        ("/detail", json!({"path": "/users/{id}/repos", "array": true})),
        ("/attachments", json!({"at": "[]"})),
    ];
    let none = "/attachments: of an item that is a list (`array` in `detail`) none are found: leave this out";
    assert_eq!(knowing(&list), [none]);
    let address = "/known/url: write an address with {id} as one part of its path, such as https://example.com/people/{id}";
    assert_eq!(knowing(&[("/known", json!({"url": "github.com/{id}"}))]), [address]);
    let files = faults(
        &json!({"name": "a", "files": {}, "known": {"url": "https://a.b/{id}"}, "format": "json_resume"}),
    );
    assert_eq!(files, ["/known: a source with `files` makes no calls: leave this out, or `files`"]);
}

#[test]
fn what_is_known_is_no_list() {
    let value = with(&[
        ("/list", Value::Null),
        ("/known", json!({"url": "https://github.com/{id}"})),
        ("/detail", json!({"path": "/users/{id}/repos", "array": true})),
        ("/format", json!("mapped")),
        ("/map", json!({"name": "name"})),
    ]);
    let definition = Definition::from_json(&value).unwrap();
    assert_eq!((definition.first_step(), definition.last_step()), (Step::Known, Step::Detail));
    assert!(definition.call_of(Step::List).is_none() && definition.call_of(Step::Known).is_none());
    assert!(!definition.has_first_call());
    assert_eq!(serde_json::to_value(&definition).unwrap().get("list"), None);
}

#[test]
fn ids_within_a_parent_need_parents() {
    check("/list/id_within_parent", json!(true), &[]);
    let alone = with(&[("/list/id_within_parent", json!(true))]);
    let needs = "/list/id_within_parent: goes with `parents`: without them an id is the item's alone";
    assert_eq!(faults(&alone), [needs]);
    let feed = json!({"path": "/deleted", "items": "", "paging": {"single": {}}});
    let deleted = [("/list/id_within_parent", json!(true)), ("/list/deleted", json!({"feed": feed}))];
    let feed = "/list/id_within_parent: does not go with `deleted.feed`, which tells ids without their \
                parents: use `missing` or `flag`";
    assert_eq!(faults(&stepped(&deleted)), [feed]);
    check("/list/updated_at", json!("/meta/changed"), &[]);
    let pointer = "/list/updated_at: write a JSON Pointer, such as /data/items, or \"\" for the whole answer";
    check("/list/updated_at", json!("changed"), &[pointer]);
}

#[test]
fn hosts_of_attachments_may_be_patterns() {
    let attachments = |host: &str| json!({"at": "files", "hosts": [host]});
    for host in
        ["files.example.com", "localhost", "*.example.com", "*.s3.*.amazonaws.com", "s3-*.amazonaws.com"]
    {
        check("/attachments", attachments(host), &[]);
    }
    for host in [
        "",
        "*",
        "*.com",
        "s3.*.com",
        "files.*",
        "*.*",
        "a.example*.com",
        "**.example.com",
        "f**.example.com",
        "*..example.com",
        "-a.example.com",
        "https://example.com",
        "Example.com",
        "example.com:80",
        "example.com/",
    ] {
        assert_eq!(faults(&stepped(&[("/attachments", attachments(host))])).len(), 1, "{host}");
    }
}

#[test]
fn a_pattern_stands_for_the_hosts_of_one_vendor() {
    let allows = |patterns: &[&str], host: &str| {
        let hosts = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Attachments { at: String::new(), hosts }.allow(host)
    };
    let shipped = Definition::from_yaml(include_str!("../../../../../sources/greenhouse-v1.yaml")).unwrap();
    for host in [
        "bucket.s3.amazonaws.com",
        "a.bucket.s3.amazonaws.com",
        "s3.amazonaws.com",
        "bucket.s3.us-east-1.amazonaws.com",
        "a.bucket.s3.eu-central-1.amazonaws.com",
        "s3.eu-central-1.amazonaws.com",
        "bucket.s3-us-west-2.amazonaws.com",
        "s3-us-west-2.amazonaws.com",
        "bucket.s3-accelerate.amazonaws.com",
        "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        "s3.dualstack.eu-west-1.amazonaws.com",
    ] {
        assert!(shipped.attachments.as_ref().unwrap().allow(host), "{host}");
    }
    for host in [
        "amazonaws.com",
        "ec2.eu-west-1.amazonaws.com",
        "s3.evil.amazonaws.com.evil.example",
        "bucket.s3.eu-west-1.execute-api.amazonaws.com",
        "s3-.amazonaws.com",
        ".s3.amazonaws.com",
        "s3.eu-west-1.amazonaws.com.cn",
        "xs3.amazonaws.com",
    ] {
        assert!(!shipped.attachments.as_ref().unwrap().allow(host), "{host}");
    }
    assert!(allows(&["files.example.com"], "files.example.com"));
    assert!(!allows(&["files.example.com"], "a.files.example.com"));
    assert!(!allows(&["*.example.com"], "example.com"));
}
