//! What has had its time is deleted, and what is told of it stays true.

use std::time::Duration;

use resume_core::{
    call::{self, Answer},
    collection::{self, CollectionState, ContinueError, Finishing, Progress, Scope},
    completeness::{self, ConfirmError},
    document::{self, DocumentFilter, DocumentState, NewDocument},
    jobs::{FinishCollection, MakeCall},
    resume::{self, Outcome},
    source,
};
use sqlx::{AssertSqlSafe, raw_sql};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, failure, in_time, item, items};

const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

impl Fixture {
    /// Lets a collection have ended 31 days ago, if it has.
    async fn age(&self, id: Uuid) {
        let aged = sqlx::query!(
            "update collections set finished_at = finished_at - interval '31 days' where id = $1",
            id
        );
        aged.execute(self.pool()).await.unwrap();
    }

    async fn delete_calls(&self) -> u64 {
        collection::delete_calls(&mut self.pool().acquire().await.unwrap(), MONTH).await.unwrap()
    }

    async fn delete_superseded(&self) -> u64 {
        document::delete_superseded(&mut self.pool().acquire().await.unwrap(), MONTH).await.unwrap()
    }

    async fn calls_of(&self, id: Uuid) -> i64 {
        let count =
            sqlx::query_scalar!(r#"select count(*) as "count!" from calls where collection_id = $1"#, id);
        count.fetch_one(self.pool()).await.unwrap()
    }

    /// A collection of one page with these items, all of which are parsed but the first ones, so many.
    async fn collects(&self, items: Vec<NewDocument>, failed: usize) -> Uuid {
        let id = self.start(&collection_of(10, NUMBERED)).await;
        self.store_items(id, 1, items).await;
        for batch in self.waiting(id).await {
            self.parse_batches(id, &[batch.first_id], failed).await;
        }
        assert!(self.state(id).await.is_over());
        id
    }

    /// A collection with a failed call, and a document that failed.
    async fn ends_badly(&self) -> Uuid {
        let id = self.start(&collection_of(30, NUMBERED)).await;
        self.store_items(id, 1, items("page-1", 3)).await;
        self.store_items(id, 2, items("page-2", 3)).await;
        self.settle(id, 1, 2, 1).await;
        self.settle(id, 2, 3, 0).await;
        self.give_up(id, 3, "gone").await;
        assert_eq!(self.state(id).await, CollectionState::CompletedWithErrors);
        id
    }
}

/// What a status tells but for samples and times.
#[derive(Debug, PartialEq)]
struct Told {
    state: CollectionState,
    counts: [i64; 5],
    errors: Vec<(String, i64)>,
    is_complete: Option<bool>,
    percent: f64,
}

fn told(progress: &Progress) -> Told {
    let counts = &progress.counts;
    Told {
        state: progress.collection.state,
        counts: [counts.opened, counts.done, counts.failed_calls, counts.stored, counts.failed],
        errors: progress.errors.iter().map(|error| (error.code.clone(), error.count)).collect(),
        is_complete: progress.is_complete,
        percent: progress.percent(),
    }
}

#[tokio::test]
async fn a_collection_that_ended_long_ago_keeps_a_summary_of_its_calls() {
    let fixture = Fixture::new().await;
    let good = fixture.collects(items("good", 10), 0).await;
    let bad = fixture.ends_badly().await;
    let before = [told(&fixture.progress(good).await), told(&fixture.progress(bad).await)];
    assert_eq!(before.each_ref().map(|told| told.is_complete), [Some(true), Some(false)]);
    assert_eq!(fixture.delete_calls().await, 0, "nothing is old");
    for id in [good, bad] {
        fixture.age(id).await;
    }
    assert_eq!(fixture.delete_calls().await, 4);
    assert_eq!(fixture.delete_calls().await, 0);
    let after = [fixture.progress(good).await, fixture.progress(bad).await];
    assert_eq!(after.each_ref().map(told), before);
    assert!(after.iter().all(|progress| progress.calls_deleted));
    let doubts = sqlx::query_scalar!(r#"select count(*) as "count!" from doubts"#);
    assert_eq!(doubts.fetch_one(fixture.pool()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_young_or_goes_on_or_has_documents_that_nobody_parsed_keeps_its_calls() {
    let fixture = Fixture::new().await;
    let young = fixture.collects(items("young", 10), 0).await;
    let running = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.age(running).await;
    let given_up = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(given_up, 1, items("given-up", 10)).await;
    for job in fixture.parse_jobs(given_up).await {
        fixture.give_up_documents(&job, "cancelled_by_request").await;
    }
    fixture.end_run(given_up).await;
    fixture.age(given_up).await;
    assert_eq!(fixture.delete_calls().await, 0);
    for id in [young, running, given_up] {
        assert!(fixture.calls_of(id).await > 0);
    }
    // Once its documents are parsed it is as any other.
    fixture.continue_collection(given_up, Scope::Unfinished).await.unwrap();
    fixture.parse_all(given_up).await;
    fixture.age(given_up).await;
    assert_eq!(fixture.delete_calls().await, 1);
}

#[tokio::test]
async fn without_calls_only_documents_are_continued() {
    let fixture = Fixture::new().await;
    let id = fixture.ends_badly().await;
    fixture.age(id).await;
    fixture.delete_calls().await;
    for scope in [Scope::Unfinished, Scope::Calls, Scope::All] {
        assert!(
            matches!(fixture.continue_collection(id, scope).await, Err(ContinueError::CallsDeleted)),
            "{scope:?}"
        );
    }
    assert_eq!(fixture.continue_collection(id, Scope::Documents).await.unwrap(), [0, 1]);
    // Whatever becomes of the document, it is listed with its state.
    for (state, name) in [(DocumentState::Waiting, "waiting"), (DocumentState::GivenUp, "given_up")] {
        if state == DocumentState::GivenUp {
            let job = fixture.parse_jobs(id).await.pop().unwrap();
            fixture.give_up_documents(&job, "cancelled_by_request").await;
        }
        let filter = DocumentFilter { state: Some(state), code: None };
        assert_eq!(document::list(fixture.pool(), id, &filter, 0, 10).await.unwrap().len(), 1, "{name}");
        let told =
            sqlx::query_scalar!(r#"select count(*) as "count!" from documents where state = $1"#, name);
        assert_eq!(told.fetch_one(fixture.pool()).await.unwrap(), 1, "{name}");
    }
    assert_eq!(fixture.continue_collection(id, Scope::Documents).await.unwrap(), [0, 1]);
    fixture.parse_all(id).await;
    let progress = fixture.progress(id).await;
    // The failed call is not forgotten.
    let Told { state, errors, is_complete, .. } = told(&progress);
    assert_eq!((state, is_complete), (CollectionState::CompletedWithErrors, Some(false)));
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((progress.counts.failed, progress.counts.parsed), (0, 6));
    let synced = sqlx::query_scalar!("select synced_until from sources where name = $1", NUMBERED);
    assert_eq!(synced.fetch_one(fixture.pool()).await.unwrap(), None, "it proves nothing about its source");

    // One that was cancelled has nothing left to go on with.
    let cancelled = fixture.start(&collection_of(30, NUMBERED)).await;
    fixture.store_items(cancelled, 1, Vec::new()).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::cancel(&mut tx, cancelled).await.unwrap();
    tx.commit().await.unwrap();
    fixture.age(cancelled).await;
    fixture.delete_calls().await;
    for scope in [Scope::Unfinished, Scope::Calls, Scope::All, Scope::Documents] {
        assert!(
            matches!(fixture.continue_collection(cancelled, scope).await, Err(ContinueError::CallsDeleted)),
            "{scope:?}"
        );
    }
    assert_eq!(fixture.state(cancelled).await, CollectionState::Cancelled);
}

/// A worker was killed between the summary and the last call.
#[tokio::test]
async fn a_deletion_that_was_cut_off_is_taken_up_again() {
    let fixture = Fixture::new().await;
    let id = fixture.ends_badly().await;
    fixture.age(id).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    raw_sql("create table kept as select * from calls").execute(&mut *conn).await.unwrap();
    fixture.delete_calls().await;
    let before = told(&fixture.progress(id).await);
    let back = "insert into calls overriding system value select * from kept;
                update collections set calls_deleted_at = null";
    raw_sql(back).execute(&mut *conn).await.unwrap();
    assert_eq!(told(&fixture.progress(id).await), before, "the summary counts");
    let call_id = fixture.call_id(id, 3).await.unwrap();
    let retried =
        collection::continue_call(&mut conn, &MakeCall { collection_id: id, call_id }).await.unwrap();
    assert!(!retried, "a call that is about to be deleted is not made again");
    let run = sqlx::query_scalar!("select run from collections where id = $1", id);
    let run = run.fetch_one(fixture.pool()).await.unwrap();
    let job = FinishCollection { collection_id: id, run, sweeps: 0 };
    assert_eq!(fixture.finish_as(&job).await, Finishing::Over);
    assert!(matches!(completeness::confirm_hiding(&mut conn, id).await, Err(ConfirmError::NothingHeldBack)));
    drop(conn);
    assert_eq!(fixture.delete_calls().await, 3);
    assert_eq!(fixture.calls_of(id).await, 0);
}

/// A document that a new map no longer understands is listed as failed, also when the call that brought it is
/// no longer there.
#[tokio::test]
async fn a_failed_reparse_is_listed_without_the_call() {
    let fixture = Fixture::new().await;
    let id = fixture.collects(items("p", 2), 0).await;
    fixture.age(id).await;
    fixture.delete_calls().await;
    let source_id = source::mapping(fixture.pool(), NUMBERED).await.unwrap().unwrap().source_id;
    let document_id = sqlx::query_scalar!(r#"select min(id) as "id!" from raw_documents"#);
    let document_id = document_id.fetch_one(fixture.pool()).await.unwrap();
    let outcome = Outcome { parsed: vec![], failed: vec![failure(document_id, "missing_id")] };
    let mut tx = fixture.pool().begin().await.unwrap();
    resume::store_reparsed(&mut tx, source_id, 1, &outcome).await.unwrap();
    tx.commit().await.unwrap();
    let progress = fixture.progress(id).await;
    assert_eq!((progress.counts.parsed, progress.counts.failed), (1, 1));
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!(progress.errors[0].code, "missing_id");
}

/// Two processes believe to lead: one waits for what the other deletes, and must not take the rest for
/// deleted.
#[tokio::test]
async fn two_leaders_at_once_leave_no_call_behind() {
    let fixture = Fixture::new().await;
    let id = fixture.collects(items("p", 1), 0).await;
    let many = format!(
        "insert into calls (collection_id, step, state, place)
         select '{id}', 'list', 'done', n from generate_series(2, 9001) n"
    );
    raw_sql(AssertSqlSafe(many)).execute(fixture.pool()).await.unwrap();
    fixture.age(id).await;
    let mut other = fixture.pool().begin().await.unwrap();
    let first = "delete from calls where place <= 5000";
    raw_sql(first).execute(&mut *other).await.unwrap();
    let pool = fixture.pool().clone();
    let leader = tokio::spawn(async move {
        collection::delete_calls(&mut pool.acquire().await.unwrap(), MONTH).await.unwrap()
    });
    fixture.until_blocked(1).await;
    other.commit().await.unwrap();
    let deleted = in_time("the leader goes on", leader).await.unwrap();
    assert_eq!(deleted + fixture.delete_calls().await, 4001);
    assert_eq!((fixture.calls_of(id).await, fixture.delete_calls().await), (0, 0));
}

/// The bodies of what is stored, as they were stored.
async fn bodies(fixture: &Fixture) -> Vec<String> {
    let bodies =
        sqlx::query_scalar!(r#"select convert_from(body, 'UTF8') as "body!" from raw_documents order by id"#);
    bodies.fetch_all(fixture.pool()).await.unwrap()
}

fn body(item: &NewDocument) -> String {
    String::from_utf8(item.body.clone()).unwrap()
}

#[tokio::test]
async fn documents_that_later_ones_took_the_place_of_are_deleted_and_the_others_stay() {
    let fixture = Fixture::new().await;
    let versions = |skill: &str| vec![item("ada", &[skill]), item("bob", &[skill])];
    let mut runs = Vec::new();
    for skill in ["A", "B", "C", "D"] {
        runs.push(fixture.collects(versions(skill), 0).await);
    }
    // Ada's last document fails, so her resume is made of the one before.
    runs.push(fixture.collects(vec![item("ada", &["E"])], 1).await);
    let aged = "update raw_documents set collected_at = collected_at - interval '40 days'";
    raw_sql(aged).execute(fixture.pool()).await.unwrap();
    assert_eq!(fixture.delete_superseded().await, 0, "their calls are kept, and list them");
    for id in runs {
        fixture.age(id).await;
    }
    fixture.delete_calls().await;
    assert_eq!(fixture.delete_superseded().await, 6);
    assert_eq!(fixture.delete_superseded().await, 0);
    let kept = [item("ada", &["D"]), item("bob", &["D"]), item("ada", &["E"])].each_ref().map(body);
    assert_eq!(bodies(&fixture).await, kept);
    // What is kept leads to what is kept, so that an erasure finds it.
    let behind = sqlx::query!(
        r#"
        select d.supersedes, o.id as "there?"
        from raw_documents d left join raw_documents o on o.id = d.supersedes order by d.id
        "#
    );
    let behind = behind.fetch_all(fixture.pool()).await.unwrap();
    assert!(behind.iter().all(|row| row.supersedes == row.there), "{behind:?}");
    assert_eq!(behind.iter().filter(|row| row.there.is_some()).count(), 1, "Ada's failed one");
    // The next run knows everybody.
    let again = fixture.collects(vec![item("ada", &["E"]), item("bob", &["D"])], 0).await;
    assert_eq!(fixture.progress(again).await.counts.stored, 0);
}

#[tokio::test]
async fn what_was_superseded_lately_and_all_that_is_listed_at_present_stays() {
    let fixture = Fixture::new().await;
    let first = fixture.collects(vec![item("ada", &["A"])], 0).await;
    // One run lists her twice: both contents are current.
    let twice = fixture.collects(vec![item("bob", &["A"]), item("bob", &["B"])], 0).await;
    let later = fixture.collects(vec![item("ada", &["B"])], 0).await;
    for id in [first, twice, later] {
        fixture.age(id).await;
    }
    fixture.delete_calls().await;
    let before = bodies(&fixture).await;
    // The first one is old, but its place was taken just now.
    let aged = "update raw_documents set collected_at = collected_at - interval '40 days' where id < \
                (select max(id) from raw_documents)";
    raw_sql(aged).execute(fixture.pool()).await.unwrap();
    assert_eq!(fixture.delete_superseded().await, 0);
    assert_eq!(bodies(&fixture).await, before);
}

/// An older answer that was stored late changes no resume. It goes as what it was overtaken by does.
#[tokio::test]
async fn documents_that_came_too_late_are_deleted() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let calls = [fixture.page(id, 1).await, fixture.page(id, 2).await];
    let dated = |skill: &str, day: u32| NewDocument {
        updated_at: Some(format!("2026-01-{day:02}T00:00:00Z").parse().unwrap()),
        ..item("ada", &[skill])
    };
    for (call, item) in calls.iter().zip([dated("new", 9), dated("old", 8)]) {
        fixture.store(call, &Answer { items: vec![item], ..Answer::default() }).await.unwrap();
    }
    fixture.parse_all(id).await;
    let overtaken = sqlx::query_scalar!("select id from raw_documents where overtaken_by is not null");
    let overtaken = overtaken.fetch_all(fixture.pool()).await.unwrap();
    // Both are contents of one run, so both are current.
    assert_eq!(overtaken.len(), 1);
    let aged = "delete from person_contents;
                update raw_documents set collected_at = collected_at - interval '40 days'";
    raw_sql(aged).execute(fixture.pool()).await.unwrap();
    fixture.age(id).await;
    fixture.delete_calls().await;
    assert_eq!(fixture.delete_superseded().await, 1);
    assert_eq!(bodies(&fixture).await, [body(&item("ada", &["new"]))]);
    assert_eq!(call::list(fixture.pool(), id, &Default::default(), None, 10).await.unwrap(), []);
}
