//! Calls and batches that were given up and whose jobs are retried: each counts once, in whatever order.

use resume_core::{
    call::{self, Found},
    collection::{self, CollectionState, Finishing},
    document,
    jobs::{FinishCollection, MakeCall, ParseDocuments},
    resume, source,
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, in_time, items, outcome_of};

use CollectionState::{Completed, CompletedWithErrors, Failed, Running};

impl Fixture {
    /// Parses the batches of a job that are there, so many documents with failure.
    async fn parse(&self, job: &ParseDocuments, failed: usize) {
        self.parse_batches(job.collection_id, &job.batches, failed).await;
    }

    /// A collection of one page with ten documents in three batches, and its parsing jobs.
    async fn stored(&self) -> (Uuid, Vec<ParseDocuments>) {
        let id = self.start(&collection_of(10, NUMBERED)).await;
        self.store_items(id, 1, items(&id.to_string(), 10)).await;
        let jobs = self.parse_jobs(id).await;
        assert_eq!(jobs.len(), 3);
        (id, jobs)
    }

    /// What a retried job of a call does; returns whether the call is open again.
    async fn continue_call(&self, collection_id: Uuid, call_id: i64) -> bool {
        let mut tx = self.pool().begin().await.unwrap();
        let job = MakeCall { collection_id, call_id };
        let is_open = collection::continue_call(&mut tx, &job).await.unwrap();
        tx.commit().await.unwrap();
        is_open
    }

    async fn run_of(&self, id: Uuid) -> i32 {
        let run = sqlx::query_scalar!("select run from collections where id = $1", id);
        run.fetch_one(self.pool()).await.unwrap()
    }
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_given_up_and_parsed() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    fixture.give_up_documents(&jobs[0], "discarded_by_request").await;
    fixture.give_up_documents(&jobs[0], "error").await;
    assert_eq!(fixture.counts(id).await, (Running, [0, 0, 4, 6]));
    fixture.parse(&jobs[0], 1).await;
    assert_eq!(fixture.counts(id).await, (Running, [3, 1, 0, 6]));
    fixture.parse(&jobs[1], 0).await;
    fixture.give_up_documents(&jobs[2], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [7, 1, 2, 0]));
    let ended = fixture.progress(id).await.collection.finished_at;
    fixture.parse(&jobs[2], 0).await;
    fixture.give_up_documents(&jobs[2], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [9, 1, 0, 0]), "one did not parse");
    assert_eq!(fixture.progress(id).await.collection.finished_at, ended);
}

#[tokio::test]
async fn documents_have_the_code_of_the_request_that_ended_their_job() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.stored().await;
    for (job, code) in jobs.iter().zip(["cancelled_by_request", "discarded_by_request", "worker_died"]) {
        fixture.give_up_documents(job, code).await;
    }
    let errors = fixture.progress(id).await.errors;
    let codes: Vec<_> = errors.into_iter().map(|error| (error.code, error.count)).collect();
    let expected = [("cancelled_by_request", 4), ("discarded_by_request", 4), ("parser_crashed", 2)];
    assert_eq!(codes, expected.map(|(code, count)| (code.to_owned(), count)));
}

/// Of two retried batches of a collection that is over the second one to commit sees that nothing has failed
/// any more.
#[tokio::test(flavor = "multi_thread")]
async fn batches_that_are_parsed_at_once_complete_the_collection() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    for page in [1, 2] {
        fixture.store_items(id, page, items(&format!("page-{page}"), 4)).await;
    }
    let jobs = fixture.parse_jobs(id).await;
    for job in &jobs {
        fixture.give_up_documents(job, "discarded_by_request").await;
    }
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [0, 0, 8, 0]));
    let source_id = source::mapping_of_collection(fixture.pool(), id).await.unwrap().unwrap().source_id;
    let settle = async |conn: &mut sqlx::PgConnection, job: &ParseDocuments| {
        let waiting = document::load_waiting(fixture.pool(), id, &job.batches).await.unwrap();
        let outcome = outcome_of(&waiting.1, 0);
        resume::settle(conn, source_id, id, &job.batches, 0, &outcome).await.unwrap();
    };
    let mut first = fixture.pool().begin().await.unwrap();
    settle(&mut first, &jobs[0]).await;
    let mut second = fixture.pool().begin().await.unwrap();
    let both = async {
        let end = async {
            fixture.until_blocked(1).await;
            first.commit().await.unwrap();
        };
        tokio::join!(settle(&mut second, &jobs[1]), end);
    };
    in_time("the second one ends", both).await;
    second.commit().await.unwrap();
    assert_eq!(fixture.counts(id).await, (Completed, [8, 0, 0, 0]));
}

#[tokio::test]
async fn a_call_that_failed_is_opened_again_by_a_retry_of_its_job() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let [one, two] = [fixture.page(id, 1).await.id, fixture.page(id, 2).await.id];
    let first = fixture.last_fetch_job(one).await;
    assert!(!fixture.continue_call(id, one).await, "it has not failed");
    fixture.give_up(id, 1, "gone").await;
    assert!(matches!(fixture.found(id, one, first).await, Found::Failed));

    // While the collection is under way it stays in its run.
    assert!(fixture.continue_call(id, one).await);
    assert!(!fixture.continue_call(id, one).await, "once");
    assert_eq!((fixture.progress(id).await.counts.pending(), fixture.run_of(id).await), (2, 1));
    assert!(fixture.last_fetch_job(one).await > first, "it has a new job");

    fixture.give_up(id, 1, "still gone").await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.state(id).await, Failed);

    // One that is over begins another run, which ends as the first one did.
    assert!(fixture.continue_call(id, two).await);
    assert_eq!((fixture.state(id).await, fixture.run_of(id).await), (Running, 2));
    fixture.store_items(id, 2, Vec::new()).await;
    assert_eq!(fixture.state(id).await, CompletedWithErrors);
    assert!(matches!(fixture.found(id, two, first).await, Found::Settled));
}

/// All jobs of the run have ended, one of them was retried, and the job that ends the run is on its way.
#[tokio::test]
async fn a_call_that_comes_after_the_end_of_its_run_begins_another() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let one = fixture.page(id, 1).await.id;
    fixture.give_up(id, 1, "gone").await;
    let group = sqlx::query_scalar!(
        "update queue.groups set finished_at = now()
         where id = (select group_id from collections where id = $1) returning id",
        id
    );
    let group = group.fetch_one(fixture.pool()).await.unwrap();
    assert!(fixture.continue_call(id, one).await);
    let finish = FinishCollection { collection_id: id, run: 1, sweeps: 0 };
    assert_eq!(fixture.finish_as(&finish).await, Finishing::Nothing);
    assert_eq!((fixture.state(id).await, fixture.run_of(id).await), (CollectionState::Pending, 2));
    let job = fixture.last_fetch_job(one).await;
    let of_job = sqlx::query_scalar!("select group_id from queue.live_jobs where id = $1", job);
    let of_collection = sqlx::query_scalar!("select group_id from collections where id = $1", id);
    let joined = of_job.fetch_one(fixture.pool()).await.unwrap();
    assert_eq!(joined, of_collection.fetch_one(fixture.pool()).await.unwrap());
    assert_ne!(joined, Some(group));
}

/// An answer that comes after its call was given up is stored all the same, and the call has not failed any
/// more.
#[tokio::test]
async fn an_answer_that_comes_late_is_stored() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    let late = fixture.page(id, 1).await;
    let discarded = discarded(fixture.last_fetch_job(late.id).await, "gone");
    let mut conn = fixture.pool().acquire().await.unwrap();
    call::give_up(&mut conn, &MakeCall { collection_id: id, call_id: late.id }, &discarded).await.unwrap();
    let answer = call::Answer { items: items("p", 4), ..call::Answer::default() };
    assert_eq!(fixture.store(&late, &answer).await.unwrap().stored, 4);
    let counts = fixture.progress(id).await.counts;
    assert_eq!((counts.done, counts.failed_calls, counts.pending()), (1, 0, 1));
}
