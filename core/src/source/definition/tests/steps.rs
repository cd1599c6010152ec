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
