//! Jobs of a collection that people end and retry: each page and each batch counts once.

use std::{collections::BTreeMap, time::Duration};

use mock_ats::{Face, FaultKind, Pages as OnPages, Times};
use resume_core::collection::{CollectionState, NewCollection, Progress};
use resume_queue::{JobFilter, JobState, cancel_all, discard_all, pause_queue, retry_all, unpause_queue};
use uuid::Uuid;

use crate::{
    harness::{NUMBERED, Pipeline, SEED, collection_of, in_time},
    outcome::{Calls, Documents, Outcome, Pages, people},
};

const FETCH: &str = "make_call";
const PARSE: &str = "parse_documents";
const SETTLE: &str = "settle_discarded";

/// The jobs of a kind, in these states.
fn all_of(kind: &str, states: &[JobState]) -> JobFilter {
    JobFilter { kind: Some(kind.to_owned()), states: Some(states.to_vec()), ..JobFilter::default() }
}

impl Pipeline {
    async fn pause(&self, queue: &str) {
        pause_queue(&self.pool, queue).await.unwrap();
    }

    async fn unpause(&self, queue: &str) {
        unpause_queue(&self.pool, queue).await.unwrap();
    }

    async fn discard(&self, kind: &str) -> u64 {
        discard_all(&self.pool, &all_of(kind, &JobState::LIVE), None).await.unwrap().changed
    }

    async fn cancel(&self, kind: &str) -> u64 {
        cancel_all(&self.pool, &all_of(kind, &JobState::LIVE), None).await.unwrap().changed
    }

    /// Retries what was cancelled or discarded.
    async fn retry(&self, kind: &str) -> u64 {
        let ended = all_of(kind, &[JobState::Cancelled, JobState::Discarded]);
        retry_all(&self.pool, &ended, None).await.unwrap().changed
    }

    /// Waits until the jobs of a kind are in these states.
    async fn until_jobs(&self, kind: &str, wanted: &[(&str, i64)]) {
        let wanted: BTreeMap<String, i64> =
            wanted.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
        let waiting = async {
            while self.jobs(kind).await != wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time(&format!("the {kind} jobs are {wanted:?}"), waiting).await;
    }

    /// How many calls of the collection are still to be made, and how many documents wait to be parsed.
    async fn open(&self, id: Uuid) -> (i64, i64) {
        let counts = self.progress(id).await.counts;
        (counts.pending(), counts.waiting())
    }

    /// Twenty people on two pages, and four batches of them that wait.
    async fn collect_unparsed(&self) -> Uuid {
        self.pause(PARSE).await;
        let id = self.collect(&collection_of(20, NUMBERED)).await;
        self.until(id, "both pages are stored", |progress| progress.counts.done == 2).await;
        id
    }

    /// Waits until all twenty are parsed and nothing tells of what happened before.
    async fn comes_to_smooth(&self, id: Uuid) {
        self.until(id, "all are parsed", |progress| progress.collection.state == CollectionState::Completed)
            .await;
        assert_eq!(self.outcome(id).await, Outcome::smooth(2, 20));
        assert_eq!(self.open(id).await, (0, 0));
        assert_eq!(self.resumes(NUMBERED).await, people(Face::TestData, SEED.into(), 20, false));
    }
}

/// What twenty people come to whose documents were given up with this code.
fn unparsed(code: &str) -> Outcome {
    let smooth = Outcome::smooth(2, 20);
    Outcome {
        state: CollectionState::CompletedWithErrors,
        documents: Documents { parsed: 0, failed: 20, ..smooth.documents },
        errors: vec![(code.to_owned(), 20)],
        ..smooth
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_were_discarded_and_retried_are_parsed() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let id = pipeline.collect_unparsed().await;
    assert_eq!(pipeline.discard(PARSE).await, 4);
    assert_eq!(pipeline.outcome(id).await, unparsed("discarded_by_request"));
    let ended = pipeline.progress(id).await.collection.finished_at;

    assert_eq!(pipeline.retry(PARSE).await, 4);
    pipeline.unpause(PARSE).await;
    pipeline.comes_to_smooth(id).await;
    assert_eq!(pipeline.progress(id).await.collection.finished_at, ended, "it ended once");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_that_were_cancelled_and_retried_are_parsed() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let id = pipeline.collect_unparsed().await;
    assert_eq!(pipeline.cancel(PARSE).await, 4);
    assert_eq!(pipeline.outcome(id).await, unparsed("cancelled_by_request"));

    assert_eq!(pipeline.retry(PARSE).await, 4);
    pipeline.unpause(PARSE).await;
    pipeline.comes_to_smooth(id).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_may_be_given_up_and_retried_twice() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    let id = pipeline.collect_unparsed().await;
    assert_eq!(pipeline.discard(PARSE).await, 4);
    pipeline.until_jobs(SETTLE, &[("completed", 4)]).await;
    assert_eq!(pipeline.retry(PARSE).await, 4);
    assert_eq!(pipeline.cancel(PARSE).await, 4);
    pipeline.until_jobs(SETTLE, &[("completed", 8)]).await;
    assert_eq!(pipeline.outcome(id).await, unparsed("cancelled_by_request"), "the later reason counts");
    assert_eq!(pipeline.open(id).await, (0, 0));

    assert_eq!(pipeline.retry(PARSE).await, 4);
    pipeline.unpause(PARSE).await;
    pipeline.comes_to_smooth(id).await;
    worker.stop().await;
}

/// A collection that is not over: its other pages are still to come, and it must not end before they have.
#[tokio::test(flavor = "multi_thread")]
async fn retried_batches_do_not_end_a_collection_whose_pages_are_to_come() {
    let pipeline = Pipeline::start_with(u32::MAX, 100).await;
    let worker = pipeline.worker();
    pipeline.pause(PARSE).await;
    let new = NewCollection { per_page: Some(1), batch_size: 1, ..collection_of(100, NUMBERED) };
    let id = pipeline.collect(&new).await;
    pipeline.until(id, "some pages are stored", |progress| progress.counts.done >= 40).await;
    pipeline.pause(FETCH).await;
    pipeline.until_running(FETCH, 0).await;
    let batches = pipeline.discard(PARSE).await as i64;
    assert!((40..100).contains(&batches), "{batches}");
    pipeline.until_jobs(SETTLE, &[("completed", batches)]).await;
    pipeline.unpause(PARSE).await;
    assert_eq!(pipeline.retry(PARSE).await as i64, batches);
    // A call that was claimed before the pause may have ended behind it.
    let are_parsed =
        |progress: &Progress| progress.counts.parsed >= batches && progress.counts.waiting() == 0;
    let progress = pipeline.until(id, "they are parsed", are_parsed).await;
    assert_eq!((progress.collection.state, progress.failed()), (CollectionState::Running, 0));
    // Each page opens the one 32 further on, so fewer than 32 are open once those near the end have come.
    let (pending, waiting) = pipeline.open(id).await;
    assert!(
        (1..=32.min(100 - progress.counts.done)).contains(&pending) && waiting == 0,
        "{pending} {waiting}"
    );

    pipeline.unpause(FETCH).await;
    assert_eq!(pipeline.outcome(id).await, Outcome::smooth(100, 100));
    assert_eq!(pipeline.open(id).await, (0, 0));
    worker.stop().await;
}

/// The follow-up of a job that lives again has nothing to settle, whether it comes before the job's end or
/// after.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_before_the_batch_is_given_up_takes_it_back() {
    for [first, second] in [[SETTLE, PARSE], [PARSE, SETTLE]] {
        let pipeline = Pipeline::start().await;
        let worker = pipeline.worker();
        pipeline.pause(SETTLE).await;
        let id = pipeline.collect_unparsed().await;
        assert_eq!((pipeline.discard(PARSE).await, pipeline.retry(PARSE).await), (4, 4));
        pipeline.unpause(first).await;
        pipeline.until_jobs(first, &[("completed", 4)]).await;
        pipeline.unpause(second).await;
        pipeline.until_jobs(second, &[("completed", 4)]).await;
        pipeline.comes_to_smooth(id).await;
        worker.stop().await;
    }
}

/// Also of a page: it stays in the hands of its job.
#[tokio::test(flavor = "multi_thread")]
async fn a_retry_before_the_page_is_given_up_takes_it_back() {
    let pipeline = Pipeline::start().await;
    let worker = pipeline.worker();
    pipeline.pause(SETTLE).await;
    pipeline.pause(FETCH).await;
    let id = pipeline.collect(&collection_of(20, NUMBERED)).await;
    assert_eq!((pipeline.discard(FETCH).await, pipeline.retry(FETCH).await), (2, 2));
    pipeline.unpause(SETTLE).await;
    pipeline.until_jobs(SETTLE, &[("completed", 2)]).await;
    assert_eq!(pipeline.progress(id).await.counts.failed_calls, 0);
    pipeline.unpause(FETCH).await;
    pipeline.comes_to_smooth(id).await;
    pipeline.until_jobs(FETCH, &[("completed", 2)]).await;
    worker.stop().await;
}

/// What a retry of the failed page comes to, the source being well again: the same as a resume of the
/// collection.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_failed_is_fetched_by_a_retry() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(404), OnPages::One(3), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(200, NUMBERED)).await;
    let failed = Outcome {
        state: CollectionState::CompletedWithErrors,
        pages: Pages { expected: 20, fetched: 19, failed: 1 },
        documents: Documents { stored: 190, unchanged: 0, parsed: 190, failed: 0 },
        calls: Calls { made: 20, rate_limited: 0 },
        errors: vec![("source_http_404".to_owned(), 1)],
    };
    assert_eq!(pipeline.outcome(id).await, failed);

    // While the source is not well, it fails and ends again.
    assert_eq!(pipeline.retry(FETCH).await, 1);
    pipeline.until_jobs(FETCH, &[("completed", 20), ("discarded", 1)]).await;
    pipeline.until_jobs(SETTLE, &[("completed", 2)]).await;
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 21, rate_limited: 0 }, ..failed });
    assert_eq!(pipeline.open(id).await, (0, 0));

    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.retry(FETCH).await, 1);
    pipeline.until(id, "the page has come", |p| p.collection.state == CollectionState::Completed).await;
    let smooth = Outcome::smooth(20, 200);
    assert_eq!(pipeline.outcome(id).await, Outcome { calls: Calls { made: 22, rate_limited: 0 }, ..smooth });
    assert_eq!(pipeline.open(id).await, (0, 0));
    pipeline.until_jobs(FETCH, &[("completed", 22)]).await;
    // The runs that the retries began have ended as every other.
    pipeline.until_jobs("finish_collection", &[("completed", 3)]).await;
    worker.stop().await;
}

/// Both jobs of a page that failed twice are retried: its answer is stored once, and a call more does no
/// harm.
#[tokio::test(flavor = "multi_thread")]
async fn all_jobs_of_a_page_may_be_retried_at_once() {
    let pipeline = Pipeline::start().await;
    pipeline.set_fault(FaultKind::Status(404), OnPages::One(2), Times::Always);
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(20, NUMBERED)).await;
    pipeline.outcome(id).await;
    assert_eq!(pipeline.continue_collection(id).await, 1);
    pipeline.until_jobs(SETTLE, &[("completed", 2)]).await;
    pipeline.until_jobs(FETCH, &[("completed", 1), ("discarded", 2)]).await;
    pipeline.mock.ats().set_faults([]);
    assert_eq!(pipeline.retry(FETCH).await, 2);
    pipeline.until(id, "the page has come", |p| p.collection.state == CollectionState::Completed).await;
    let outcome = pipeline.outcome(id).await;
    assert!((4..=5).contains(&outcome.calls.made), "{outcome:?}");
    assert_eq!(outcome, Outcome { calls: outcome.calls, ..Outcome::smooth(2, 20) });
    assert_eq!(pipeline.open(id).await, (0, 0));
    worker.stop().await;
}

/// The last job of a run is discarded by hand: nothing else would end the collection.
#[tokio::test(flavor = "multi_thread")]
async fn a_collection_whose_end_was_discarded_ends() {
    let pipeline = Pipeline::start().await;
    pipeline.pause("finish_collection").await;
    let worker = pipeline.worker();
    let id = pipeline.collect(&collection_of(20, NUMBERED)).await;
    pipeline.until_jobs("finish_collection", &[("available", 1)]).await;
    assert_eq!(pipeline.discard("finish_collection").await, 1);
    let ended = pipeline.ended(id).await;
    assert_eq!(ended.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((ended.counts.parsed, &*ended.errors[0].code), (20, "end_discarded"));
    worker.stop().await;
}
