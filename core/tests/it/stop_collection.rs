//! Collections that are paused, cancelled, and go on.

use resume_core::{
    call::{self, Answer, Found},
    collection::{self, CollectionState, Finishing, Scope, StopError},
    jobs::{ContinueCollection, FinishCollection, MakeCall, StopCollection},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of, discarded, in_time, items};

use CollectionState::{Cancelled, Completed, Paused, Running};

impl Fixture {
    pub(crate) async fn pause(&self, id: Uuid) -> Result<(), StopError> {
        let mut tx = self.pool().begin().await.unwrap();
        collection::pause(&mut tx, id).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    pub(crate) async fn cancel(&self, id: Uuid) -> Result<(), StopError> {
        let mut tx = self.pool().begin().await.unwrap();
        collection::cancel(&mut tx, id).await?;
        tx.commit().await.unwrap();
        Ok(())
    }

    /// Continues a collection; returns how many calls are made.
    pub(crate) async fn go_on(&self, id: Uuid) -> i64 {
        self.continue_collection(id, Scope::default()).await.unwrap()[0]
    }

    /// Ends the jobs of a stopped collection, as its job does.
    async fn end_jobs(&self, id: Uuid) {
        let job_id = sqlx::query_scalar!("select stop_job_id from collections where id = $1", id);
        let job_id = job_id.fetch_one(self.pool()).await.unwrap().unwrap();
        collection::end_jobs(self.pool(), &StopCollection { collection_id: id }, job_id).await.unwrap();
    }

    /// How many live jobs of this kind the collection has.
    async fn live(&self, kind: &str, id: Uuid) -> i64 {
        sqlx::query_scalar!(
            r#"select count(*) as "count!" from queue.live_jobs where kind = $1 and args ->> 'collection_id' = $2"#,
            kind,
            id.to_string()
        )
        .fetch_one(self.pool())
        .await
        .unwrap()
    }
}

#[tokio::test]
async fn a_paused_collection_fetches_nothing_and_goes_on_where_it_was() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    let [under_way, third] = [fixture.page(id, 2).await, fixture.page(id, 3).await];
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.pause(id).await.unwrap();
    fixture.pause(id).await.unwrap();
    assert_eq!(fixture.live("stop_collection", id).await, 1, "a second pause changes nothing");
    assert!(fixture.pending(id, 3).await.is_none(), "nothing is fetched, even before its jobs have ended");
    fixture.end_jobs(id).await;
    assert_eq!(fixture.live("make_call", id).await, 0);
    assert_eq!(fixture.live("parse_documents", id).await, 3, "what is stored is parsed");

    // The follow-up of a job that was ended gives nothing up, nor does the end of the run.
    fixture.give_up(id, 3, "cancelled").await;
    let finish = FinishCollection { collection_id: id, run: 1, sweeps: 0 };
    assert_eq!(fixture.finish_as(&finish).await, Finishing::Nothing);
    // A page that was being fetched is stored.
    assert!(fixture.store(&under_way, &Answer::default()).await.is_some());
    assert_eq!(fixture.state(id).await, Paused);

    let first = fixture.last_fetch_job(third.id).await;
    assert_eq!(fixture.go_on(id).await, 2);
    assert_eq!(fixture.state(id).await, Running);
    assert_eq!(fixture.live("make_call", id).await, 2);
    // The walk that comes too late ends nothing of it, and the old jobs fetch nothing and give nothing up.
    fixture.end_jobs(id).await;
    assert_eq!(fixture.live("make_call", id).await, 2);
    let found = fixture.found(id, third.id, first).await;
    assert!(matches!(found, Found::Settled), "{found:?}");
    let mut conn = fixture.pool().acquire().await.unwrap();
    let job = MakeCall { collection_id: id, call_id: third.id };
    call::give_up(&mut conn, &job, &discarded(first, "cancelled")).await.unwrap();
    drop(conn);
    fixture.store_items(id, 3, Vec::new()).await;
    fixture.store_items(id, 4, Vec::new()).await;
    for parsed in [4, 4, 2] {
        fixture.settle(id, 1, parsed, 0).await;
    }
    assert_eq!(fixture.state(id).await, Completed);
}

/// A job fails for good while somebody stops and continues its collection: the call has another job then, and
/// is not given up.
#[tokio::test]
async fn a_call_is_not_given_up_while_its_collection_is_stopped_and_continued() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    let call_id = fixture.call_id(id, 1).await.unwrap();
    let job_id = fixture.last_fetch_job(call_id).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::pause(&mut tx, id).await.unwrap();
    collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap();
    let late = tokio::spawn({
        let (pool, job) = (fixture.pool().clone(), MakeCall { collection_id: id, call_id });
        async move { call::give_up(&mut pool.acquire().await.unwrap(), &job, &discarded(job_id, "over")).await }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    in_time("the late one ends", late).await.unwrap().unwrap();
    let is_pending =
        sqlx::query_scalar!(r#"select state = 'pending' as "pending!" from calls where id = $1"#, call_id);
    assert!(is_pending.fetch_one(fixture.pool()).await.unwrap());
}

#[tokio::test]
async fn a_paused_collection_with_nothing_left_to_fetch_ends() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 4)).await;
    fixture.pause(id).await.unwrap();
    fixture.settle(id, 1, 4, 0).await;
    assert_eq!(fixture.state(id).await, Completed);
    assert!(matches!(fixture.pause(id).await, Err(StopError::Over(Completed))));
    assert!(matches!(fixture.cancel(id).await, Err(StopError::Over(Completed))));
}

#[tokio::test]
async fn a_cancelled_collection_is_over_at_once_and_can_go_on() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    let under_way = fixture.page(id, 2).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    fixture.cancel(id).await.unwrap();
    let ended = fixture.progress(id).await.collection;
    assert_eq!((ended.state, ended.finished_at.is_some()), (Cancelled, true));
    fixture.cancel(id).await.unwrap();
    assert!(matches!(fixture.pause(id).await, Err(StopError::Over(Cancelled))));

    let answer = Answer { items: items("b", 10), ..Default::default() };
    assert!(fixture.store(&under_way, &answer).await.is_none(), "nothing is stored any more");
    fixture.end_jobs(id).await;
    assert_eq!((fixture.live("make_call", id).await, fixture.live("parse_documents", id).await), (0, 0));
    for job in fixture.parse_jobs(id).await {
        fixture.give_up_documents(&job, "cancelled_by_request").await;
    }
    assert_eq!(fixture.counts(id).await, (Cancelled, [0, 0, 10, 0]));
    assert_eq!(fixture.progress(id).await.collection.finished_at, ended.finished_at);

    assert_eq!(fixture.go_on(id).await, 3);
    for page in 2..=4 {
        fixture.store_items(id, page, Vec::new()).await;
    }
    assert_eq!(fixture.state(id).await, Running, "what was stored is parsed after all");
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Completed, [10, 0, 0, 0]));
}

#[tokio::test]
async fn an_unknown_collection_is_not_stopped() {
    let fixture = Fixture::new().await;
    let id = Uuid::now_v7();
    assert!(matches!(fixture.pause(id).await, Err(StopError::Unknown(unknown)) if unknown == id));
    assert!(matches!(fixture.cancel(id).await, Err(StopError::Unknown(unknown)) if unknown == id));
}

/// Its first page is stored after the pause, and opens the second one with a job that is younger than the
/// stop: whichever of its two jobs comes first, the answer is stored once.
#[tokio::test]
async fn a_page_that_was_opened_during_the_pause_is_stored_once() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NEXT_LINK)).await;
    let under_way = fixture.page(id, 1).await;
    fixture.pause(id).await.unwrap();
    let answer = Answer { items: items("a", 3), next: Some("t2".to_owned()), ..Answer::default() };
    fixture.store(&under_way, &answer).await.unwrap();
    fixture.go_on(id).await;
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2, 2]);
    let second = fixture.page(id, 2).await;
    assert!(fixture.store(&second, &Answer::default()).await.is_some());
    assert!(fixture.store(&second, &Answer::default()).await.is_none());
}

/// Ten thousand calls a job, each of which enqueues the next one.
#[tokio::test]
async fn a_collection_with_many_calls_goes_on_in_portions() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    fixture.add_calls(id, 24_996).await;
    fixture.pause(id).await.unwrap();
    fixture.end_jobs(id).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    let continued = collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(continued.calls, 25_000);
    let portion = async || {
        let job = sqlx::query!(
            r#"select id as "id!", args as "args!" from jobs where kind = 'continue_collection' order by id desc limit 1"#
        );
        let job = job.fetch_one(fixture.pool()).await.unwrap();
        let args: ContinueCollection = serde_json::from_value(job.args).unwrap();
        let mut tx = fixture.pool().begin().await.unwrap();
        collection::continue_portion(&mut tx, &args, job.id).await.unwrap();
        tx.commit().await.unwrap();
        (args, job.id)
    };
    for expected in [10_000, 20_000, 25_000] {
        portion().await;
        assert_eq!(fixture.live("make_call", id).await, expected);
    }
    assert_eq!(fixture.live("continue_collection", id).await, 3, "there is no fourth one");

    // One that runs again after another stop does no harm.
    let (last, last_job) = portion().await;
    fixture.pause(id).await.unwrap();
    fixture.end_jobs(id).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::continue_portion(&mut tx, &last, last_job).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(fixture.live("make_call", id).await, 0);
}
