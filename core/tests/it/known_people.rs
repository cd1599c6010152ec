//! People who are known: whom a source is asked for that lists nobody.

use resume_core::{
    call::{self, Answer},
    collection::CollectionState,
    resume::{self, NewResume, Outcome},
    source::{
        self,
        definition::{Definition, Step},
    },
};
use serde_json::json;
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, item};

const SOURCE: &str = "pages";

async fn fixture() -> Fixture {
    let fixture = Fixture::new().await;
    let definition = json!({
        "name": SOURCE, "base_url": "http://pages.example", "limits": [{"calls": 10, "per": "1s"}],
        "known": {"url": "https://pages.example/{id}"}, "detail": {"path": "/users/{id}"},
        "format": "mapped", "map": {"skills": "skills"},
    });
    let definition = Definition::from_json(&definition).unwrap();
    source::put(&mut fixture.pool().acquire().await.unwrap(), &definition).await.unwrap();
    fixture
}

impl Fixture {
    /// Stores a resume of a source, with this home page and these profiles.
    async fn resume_with(&self, source: &str, external_id: &str, url: Option<&str>, profiles: &[&str]) {
        let item = item(external_id, &[]);
        let document_id = self.insert_from(source, std::slice::from_ref(&item)).await[0];
        let mut conn = self.pool().acquire().await.unwrap();
        let format = resume_core::parsing::Format::Profile;
        let mut parsed = resume_core::parsing::parse(format, Some(external_id), &item.body).unwrap();
        parsed.links = url.iter().chain(profiles).map(|&link| link.to_owned()).collect();
        let new = NewResume { document_id, person_id: document_id, is_overtaken: false, parsed };
        let source = source::find(&mut conn, source).await.unwrap().unwrap();
        let outcome = Outcome { parsed: vec![new], failed: Vec::new() };
        resume::store_reparsed(&mut conn, source.id, 0, &outcome).await.unwrap();
    }

    /// Looks through the next resumes; gives whether the page was pending.
    async fn look(&self, id: Uuid, number: i32) -> bool {
        let page = self.page(id, number).await;
        assert_eq!(page.step, Step::Known);
        let mut tx = self.pool().begin().await.unwrap();
        let is_done = call::open_known(&mut tx, &page, None).await.unwrap();
        assert!(!call::open_known(&mut tx, &page, None).await.unwrap(), "once");
        tx.commit().await.unwrap();
        self.end_run(id).await;
        is_done
    }

    async fn asked(&self, id: Uuid) -> Vec<String> {
        let asked = sqlx::query_scalar!(
            r#"select item from calls where collection_id = $1 and step = 'detail' order by item collate "C""#,
            id
        );
        asked.fetch_all(self.pool()).await.unwrap()
    }
}

#[tokio::test]
async fn each_who_gave_a_link_is_asked_for_once() {
    let fixture = fixture().await;
    let page = |name: &str| Some(format!("https://pages.example/{name}"));
    let links = [
        ("a", page("ann"), &[][..]),
        ("b", Some("http://www.pages.example/ann/".to_owned()), &["https://pages.example/bob"]),
        ("c", page("cyd/work"), &[]),
        ("d", Some("https://other.example/?u=https://pages.example/eve".to_owned()), &[]),
        ("e", page(".."), &[]),
        ("f", None, &["HTTPS://PAGES.example/Dan"]),
    ];
    for (external_id, url, profiles) in links {
        fixture.resume_with(NUMBERED, external_id, url.as_deref(), profiles).await;
    }
    fixture.resume_with(NUMBERED, "gone", page("gone").as_deref(), &[]).await;
    sqlx::query!(
        "update resumes set hidden_at = now() from people p where p.id = person_id and external_id = 'gone'"
    )
    .execute(fixture.pool())
    .await
    .unwrap();
    fixture.resume_with(SOURCE, "zoe", page("zoe").as_deref(), &[]).await;

    let id = fixture.start(&collection_of(100, SOURCE)).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1]);
    assert!(fixture.look(id, 1).await);
    assert_eq!(fixture.asked(id).await, ["Dan", "ann", "bob"]);
    assert_eq!(fixture.progress(id).await.pages_expected, None, "there may be more resumes");
    assert!(fixture.look(id, 2).await);
    let progress = fixture.progress(id).await;
    assert_eq!((progress.pages_expected, progress.counts.done, progress.counts.made), (Some(5), 2, 0));
    let details =
        sqlx::query_scalar!("select id from calls where collection_id = $1 and step = 'detail'", id);
    for detail in details.fetch_all(fixture.pool()).await.unwrap() {
        let detail = fixture.call(id, detail).await.unwrap();
        assert_eq!(detail.step, Step::Detail);
        fixture.store(&detail, &Answer::default()).await.unwrap();
    }
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

#[tokio::test]
async fn where_nobody_gave_a_link_nobody_is_asked_for() {
    let fixture = fixture().await;
    let id = fixture.start(&collection_of(100, SOURCE)).await;
    assert!(fixture.look(id, 1).await);
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CollectionState::Completed, Some(true)));
    assert_eq!(progress.counts.made, 0);
}

#[tokio::test]
async fn no_more_are_asked_for_than_were_wanted() {
    let fixture = fixture().await;
    for name in ["ann", "bob", "cyd"] {
        fixture.resume_with(NUMBERED, name, Some(&format!("https://pages.example/{name}")), &[]).await;
    }
    let id = fixture.start(&collection_of(2, SOURCE)).await;
    assert!(fixture.look(id, 1).await);
    assert_eq!(fixture.asked(id).await, ["ann", "bob"]);
    assert!(fixture.pending(id, 2).await.is_none());
    assert_eq!(fixture.progress(id).await.pages_expected, Some(3));
}

#[tokio::test]
async fn a_stopped_look_goes_on_where_it_was() {
    let fixture = fixture().await;
    fixture.resume_with(NUMBERED, "ann", Some("https://pages.example/ann"), &[]).await;
    let id = fixture.start(&collection_of(2, SOURCE)).await;
    let page = fixture.page(id, 1).await;
    fixture.cancel(id).await.unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    assert!(!call::open_known(&mut tx, &page, None).await.unwrap());
    drop(tx);
    assert_eq!(fixture.go_on(id).await, 1);
    assert!(fixture.look(id, 1).await);
    let second = fixture.page(id, 2).await;
    assert!(second.link.is_some(), "behind the resumes that were looked through");
    assert_eq!(fixture.asked(id).await, ["ann"]);
}
