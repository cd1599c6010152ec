//! The calls that follow from an answer: each once, in the transaction that stores it.

use resume_core::{
    call::{self, Answer, Found},
    collection::CollectionState,
    document::NewDocument,
    source::{
        self,
        definition::{Definition, Step},
    },
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::{Fixture, collection_of};

const SOURCE: &str = "stepped";

/// A source with parents, whose lists are chains, with these changes.
async fn stepped(fixture: &Fixture, changes: Value) {
    let mut definition = json!({
        "name": SOURCE, "base_url": "http://ats.example", "limits": [{"calls": 10, "per": "1s"}],
        "parents": {"path": "/positions", "items": "", "paging": {"next_url": {"at": "/next"}}},
        "list": {"path": "/positions/{parent}", "items": "", "paging": {"cursor": {"token": "/next", "param": "after"}}},
        "format": "mapped", "map": {"name": "name"},
    });
    definition.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    definition.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let definition = Definition::from_json(&definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
}

fn items(ids: &[&str]) -> Vec<NewDocument> {
    ids.iter()
        .map(|id| NewDocument::with_id(Some((*id).to_owned()), format!("[{id:?}]").as_bytes()))
        .collect()
}

fn page_of(ids: &[&str], next: Option<&str>) -> Answer {
    Answer { items: items(ids), next: next.map(str::to_owned), ..Answer::default() }
}

impl Fixture {
    /// The calls that are to be made, but for those of the first list, by what they are about.
    async fn behind(&self, id: Uuid) -> Vec<(i64, String, String)> {
        let calls = sqlx::query!(
            "select id, parent, item from calls where collection_id = $1 and state = 'pending'
             and (parent <> '' or item <> '') order by parent, item, place",
            id
        );
        let calls = calls.fetch_all(self.pool()).await.unwrap();
        calls.into_iter().map(|call| (call.id, call.parent, call.item)).collect()
    }

    async fn store_first(&self, id: Uuid, place: i32, answer: &Answer) {
        self.store_call(id, self.page(id, place).await.id, answer).await;
    }

    async fn store_call(&self, id: Uuid, call_id: i64, answer: &Answer) {
        let call = self.call(id, call_id).await.expect("it is pending");
        assert!(self.store(&call, answer).await.is_some());
    }
}

#[tokio::test]
async fn each_parent_gets_one_list() {
    let fixture = Fixture::new().await;
    stepped(&fixture, json!({})).await;
    let id = fixture.start(&collection_of(1000, SOURCE)).await;
    let first = fixture.page(id, 1).await;
    assert_eq!((first.step, first.values.per_page), (Step::Parents, 100));
    fixture.store_first(id, 1, &page_of(&["a", "b", "a"], Some("http://ats.example/2"))).await;
    assert_eq!(fixture.progress(id).await.pages_expected, None);
    // On the next page one of them comes again, and some whose ids could lead elsewhere.
    fixture.store_first(id, 2, &page_of(&["b", "c/../d", "..", "e\n"], None)).await;
    let open = fixture.behind(id).await;
    let parents: Vec<_> = open.iter().map(|(_, parent, _)| parent.as_str()).collect();
    assert_eq!(parents, ["a", "b"]);
    assert_eq!(fixture.fetch_jobs(id).await.len(), 4, "each has its job");
    let progress = fixture.progress(id).await;
    assert_eq!((progress.pages_expected, progress.counts.done, progress.counts.stored), (Some(4), 2, 0));
    let expected = "page 2: 3 parents have no id that can stand in a path";
    assert_eq!((&*progress.errors[0].code, &*progress.errors[0].sample), ("parent_id_invalid", expected));

    // The same tokens in both of them; a token that comes again in one of them is a loop.
    for (list, _, _) in open {
        let page = fixture.call(id, list).await.unwrap();
        assert_eq!((page.step, page.values.page, page.link.as_deref()), (Step::List, 1, None));
        fixture.store_call(id, list, &page_of(&[&format!("of {list}")], Some("t2"))).await;
    }
    let second = fixture.behind(id).await;
    assert_eq!(second.len(), 2);
    fixture.store_call(id, second[0].0, &page_of(&["x"], Some("t2"))).await;
    fixture.store_call(id, second[1].0, &page_of(&["y"], None)).await;
    assert_eq!(fixture.behind(id).await, []);
    let progress = fixture.progress(id).await;
    let loops = progress.errors.iter().find(|error| error.code == "next_link_loop").unwrap();
    assert_eq!(loops.sample, "page 2 of a: the next link leads to a page that was read before");
    assert_eq!((progress.pages_expected, progress.counts.stored), (Some(6), 4));
}

#[tokio::test]
async fn a_numbered_list_of_a_parent_is_read_up_to_an_empty_page() {
    let fixture = Fixture::new().await;
    let list = json!({
        "path": "/positions/{parent}", "params": {"offset": "{offset}", "page": "{page}"}, "items": "",
        "paging": {"numbered": {"first": 0}},
    });
    stepped(&fixture, json!({"list": list})).await;
    let id = fixture.start(&collection_of(1000, SOURCE)).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1], "nothing is fetched side by side with the parents");
    fixture.store_first(id, 1, &page_of(&["a"], None)).await;
    for (place, ids) in [(0, vec!["x", "y"]), (1, vec!["z"]), (2, vec![])] {
        let [(number, _, _)] = fixture.behind(id).await[..] else { panic!("page {place} is open, alone") };
        let page = fixture.call(id, number).await.unwrap();
        assert_eq!((page.values.page, page.values.offset), (place, 10 * u64::from(place)));
        fixture.store_call(id, number, &page_of(&ids, None)).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!((progress.pages_expected, progress.counts.done, progress.counts.stored), (Some(4), 4, 3));
}

#[tokio::test]
async fn lists_that_are_not_wanted_any_more_cost_no_call() {
    let fixture = Fixture::new().await;
    stepped(&fixture, json!({})).await;
    let id = fixture.start(&collection_of(2, SOURCE)).await;
    fixture.store_first(id, 1, &page_of(&["a", "b"], None)).await;
    let open = fixture.behind(id).await;
    fixture.store_call(id, open[0].0, &page_of(&["x", "y"], Some("t2"))).await;
    let found = fixture.found(id, open[1].0, fixture.last_fetch_job(open[1].0).await).await;
    let Found::NotWanted(page) = found else { panic!("{found:?}") };
    let mut tx = fixture.pool().begin().await.unwrap();
    for _ in 0..2 {
        call::skip(&mut tx, &page).await.unwrap();
    }
    tx.commit().await.unwrap();
    fixture.parse_all(id).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.counts.made), (CollectionState::Completed, 2));
}

#[tokio::test]
async fn details_take_the_place_of_the_items() {
    let fixture = Fixture::new().await;
    stepped(&fixture, json!({"detail": {"path": "/positions/{parent}/{id}"}})).await;
    let id = fixture.start(&collection_of(3, SOURCE)).await;
    fixture.store_first(id, 1, &page_of(&["a", "b"], None)).await;
    let lists = fixture.behind(id).await;
    let without_id = NewDocument::with_id(None, b"{}");
    let mut fetched = page_of(&["x", "x", "y"], None);
    fetched.items.insert(0, without_id);
    fixture.store_call(id, lists[0].0, &fetched).await;

    let open = fixture.behind(id).await;
    let details: Vec<_> = open.iter().filter(|(_, _, item)| !item.is_empty()).collect();
    assert_eq!(details.len(), 1, "one for each id, and the fourth item was not wanted: {details:?}");
    let progress = fixture.progress(id).await;
    assert_eq!(progress.counts.stored, 1, "what has no id is kept as the list has it");
    assert_eq!(progress.errors[0].code, "item_id_invalid");
    let page = fixture.call(id, details[0].0).await.unwrap();
    assert_eq!(
        (page.step, page.values.parent.as_deref(), page.values.id.as_deref()),
        (Step::Detail, Some("a"), Some("x"))
    );
    fixture.store_call(id, page.id, &page_of(&["x"], None)).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.counts.stored, progress.pages_expected), (2, Some(4)));
}

#[tokio::test]
async fn a_list_of_a_parent_begins_again_alone_and_once_a_run() {
    let fixture = Fixture::new().await;
    stepped(&fixture, json!({})).await;
    let id = fixture.start(&collection_of(1000, SOURCE)).await;
    fixture.store_first(id, 1, &page_of(&["a", "b"], None)).await;
    for (list, _, _) in fixture.behind(id).await {
        fixture.store_call(id, list, &page_of(&[&format!("of {list}")], Some("t2"))).await;
    }
    let restart = async |call_id| {
        let page = fixture.call(id, call_id).await.unwrap();
        let mut tx = fixture.pool().begin().await.unwrap();
        let began = call::restart(&mut tx, &page).await.unwrap();
        tx.commit().await.unwrap();
        began
    };
    let seconds = fixture.behind(id).await;
    for (number, _, _) in &seconds {
        assert!(restart(*number).await, "each list may begin again");
    }
    let thirds = fixture.behind(id).await;
    assert_eq!(thirds.len(), 2);
    let page = fixture.call(id, thirds[0].0).await.unwrap();
    assert_eq!((page.link.as_deref(), page.values.parent.as_deref()), (None, Some("a")));
    // The same token leads on, once more.
    fixture.store_call(id, thirds[0].0, &page_of(&["again"], Some("t2"))).await;
    let fourth = fixture.behind(id).await;
    assert_eq!(fourth.len(), 2);
    assert!(!restart(fourth[0].0).await, "and only once");
}

fn offsets() -> Value {
    json!({
        "path": "/people", "items": "", "params": {"limit": "{per_page}", "offset": "{offset}"},
        "paging": {"numbered": {"total": "/total"}},
    })
}

/// The page that is read again has been counted before: what it shows for the first time has room.
#[tokio::test]
async fn who_is_seen_when_a_page_is_read_again_gets_a_detail() {
    let fixture = Fixture::new().await;
    stepped(&fixture, json!({"parents": null, "list": offsets(), "detail": {"path": "/people/{id}"}})).await;
    let id = fixture.start(&collection_of(30, SOURCE)).await;
    let show = async |number, ids: Vec<u32>, total| {
        let ids: Vec<String> = ids.into_iter().map(|id| format!("p{id}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        fixture.store_first(id, number, &Answer { total: Some(total), ..page_of(&ids, None) }).await;
    };
    // The fourth one goes after the first page was read, and the eleventh moves onto it.
    show(1, (0..10).collect(), 25).await;
    show(2, (11..21).collect(), 24).await;
    show(3, (21..25).collect(), 24).await;
    let details = async || {
        let open = fixture.behind(id).await;
        for (number, _, item) in &open {
            // Nothing to store: what counts here is who was asked for.
            fixture.store_call(id, *number, &Answer::default()).await;
            assert!(!item.is_empty());
        }
        open.len()
    };
    assert_eq!(details().await, 24);
    show(1, (0..11).filter(|id| *id != 3).collect(), 24).await;
    assert_eq!(details().await, 1, "the eleventh");
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CollectionState::Completed, Some(true)));
}

/// As many as were asked for are as many different ones: what comes again, since the list was begun again, is
/// no part of them.
#[tokio::test]
async fn a_list_that_begins_again_is_counted_anew() {
    for detail in [json!(null), json!({"path": "/people/{id}"})] {
        let fixture = Fixture::new().await;
        let list = json!({
            "path": "/people", "items": "", "per_page_max": 1,
            "paging": {"cursor": {"token": "/next", "param": "after"}},
        });
        stepped(&fixture, json!({"parents": null, "list": list, "detail": detail})).await;
        let id = fixture.start(&collection_of(3, SOURCE)).await;
        fixture.store_first(id, 1, &page_of(&["a"], Some("t2"))).await;
        fixture.store_first(id, 2, &page_of(&["b"], Some("t3"))).await;
        let page = fixture.page(id, 3).await;
        let mut tx = fixture.pool().begin().await.unwrap();
        assert!(call::restart(&mut tx, &page).await.unwrap());
        tx.commit().await.unwrap();
        fixture.store_first(id, 1, &page_of(&["a"], Some("t2"))).await;
        fixture.store_first(id, 2, &page_of(&["b"], Some("t3"))).await;
        fixture.store_first(id, 3, &page_of(&["c"], Some("t4"))).await;
        assert!(fixture.pending(id, 4).await.is_none(), "those are as many as were asked for");
        if detail.is_null() {
            assert_eq!(fixture.progress(id).await.counts.stored, 3);
            continue;
        }
        let items: Vec<_> = fixture.behind(id).await.into_iter().map(|(.., item)| item).collect();
        assert_eq!(items, ["a", "b", "c"]);
    }
}
