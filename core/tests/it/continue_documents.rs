//! Going on with a collection where documents failed: each counts once, whatever became of it before.

use resume_core::{
    collection::{self, CollectionState, ContinueError, Scope},
    jobs::ParseDocuments,
};
use resume_queue::Discarded;
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, in_time, items};

use CollectionState::{Cancelled, Completed, CompletedWithErrors, Running};

impl Fixture {
    /// What follows when the job of these batches was ended with this code.
    pub(crate) async fn give_up_documents(&self, job: &ParseDocuments, code: &str) {
        let by = Discarded { code: Some(code.to_owned()), ..discarded(0, "over") };
        let mut tx = self.pool().begin().await.unwrap();
        collection::give_up_documents(&mut tx, job, &by).await.unwrap();
        tx.commit().await.unwrap();
        self.end_run(job.collection_id).await;
    }

    /// A collection of two pages with ten documents each, in six batches; and its parsing jobs.
    async fn two_pages(&self) -> (Uuid, Vec<ParseDocuments>) {
        let id = self.start(&collection_of(20, NUMBERED)).await;
        self.store_items(id, 1, items(&format!("{id}-1"), 10)).await;
        self.store_items(id, 2, items(&format!("{id}-2"), 10)).await;
        (id, self.parse_jobs(id).await)
    }

    /// Parses what waits; of each batch so many fail.
    async fn parse_waiting(&self, id: Uuid, failed: &[usize]) {
        for (batch, &failed) in self.waiting(id).await.iter().zip(failed) {
            assert!(!self.state(id).await.is_over());
            self.parse_batches(id, &[batch.first_id], failed).await;
        }
    }

    /// The state, and the documents that were parsed, failed and were given up, and those that wait.
    pub(crate) async fn counts(&self, id: Uuid) -> (CollectionState, [i64; 4]) {
        let progress = self.progress(id).await;
        let counts = progress.counts;
        (progress.collection.state, [counts.parsed, counts.failed, counts.given_up, counts.waiting()])
    }
}

#[tokio::test]
async fn failed_documents_are_parsed_again_however_often() {
    let fixture = Fixture::new().await;
    let (id, _) = fixture.two_pages().await;
    fixture.parse_waiting(id, &[1, 4, 0, 0, 2, 0]).await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [13, 7, 0, 0]));
    for scope in [Scope::Unfinished, Scope::Calls] {
        let refused = fixture.refuses(id, scope).await;
        assert!(matches!(refused, ContinueError::NothingFailed(CompletedWithErrors)), "{refused:?}");
    }

    let ended = fixture.progress(id).await.collection.finished_at;
    assert_eq!(fixture.continue_collection(id, Scope::Documents).await.unwrap(), [0, 7]);
    assert_eq!(fixture.counts(id).await, (Running, [13, 0, 0, 7]));
    let sizes: Vec<_> = fixture.waiting(id).await.iter().map(|batch| batch.documents()).collect();
    assert_eq!(sizes, [1, 4, 2], "neighbours go together");
    fixture.parse_waiting(id, &[1, 2, 0]).await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [17, 3, 0, 0]));
    assert!(fixture.progress(id).await.collection.finished_at > ended);

    assert_eq!(fixture.continue_collection(id, Scope::All).await.unwrap(), [0, 3]);
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Completed, [20, 0, 0, 0]));
    let refused = fixture.refuses(id, Scope::All).await;
    assert!(matches!(refused, ContinueError::NothingFailed(Completed)));
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2], "no call is made");
}

/// What the parser has told is not asked again, unless that is asked for.
#[tokio::test]
async fn documents_that_nobody_parsed_are_part_of_what_is_unfinished() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    fixture.parse_waiting(id, &[1, 0, 0, 0]).await;
    fixture.give_up_documents(&jobs[4], "cancelled_by_request").await;
    fixture.give_up_documents(&jobs[5], "cancelled_by_request").await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [13, 1, 6, 0]));
    assert_eq!(fixture.continue_collection(id, Scope::Unfinished).await.unwrap(), [0, 6]);
    assert_eq!(fixture.counts(id).await, (Running, [13, 1, 0, 6]));
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (CompletedWithErrors, [19, 1, 0, 0]));
}

/// Its parsing jobs are ended, or about to be, or run: whatever becomes of them, everything is parsed when it
/// goes on.
#[tokio::test]
async fn a_cancelled_collection_that_goes_on_parses_what_it_had_stored() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    for page in 1..=3 {
        fixture.store_items(id, page, items(&format!("p{page}"), 10)).await;
    }
    let jobs = fixture.parse_jobs(id).await;
    fixture.settle(id, 1, 4, 0).await;
    fixture.cancel(id).await.unwrap();
    let stopped = fixture.refuses(id, Scope::Documents).await;
    assert!(matches!(stopped, ContinueError::Stopped(Cancelled)), "{stopped:?}");
    for job in [&jobs[1], &jobs[3], &jobs[4], &jobs[5]] {
        fixture.give_up_documents(job, "cancelled_by_request").await;
    }
    assert_eq!(fixture.counts(id).await, (Cancelled, [4, 0, 14, 12]));
    assert_eq!(fixture.continue_collection(id, Scope::Unfinished).await.unwrap(), [1, 14]);
    assert_eq!(fixture.counts(id).await, (Running, [4, 0, 0, 26]));
    fixture.store_items(id, 4, items("p4", 4)).await;
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Completed, [34, 0, 0, 0]));
}

/// All that it had was settled while it was being cancelled: nothing would come to end it.
#[tokio::test]
async fn a_cancelled_collection_with_nothing_left_to_do_ends() {
    let fixture = Fixture::new().await;
    let (id, _) = fixture.two_pages().await;
    fixture.cancel(id).await.unwrap();
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Cancelled, [20, 0, 0, 0]));
    assert_eq!(fixture.continue_collection(id, Scope::Unfinished).await.unwrap(), [0, 0]);
    assert_eq!(fixture.counts(id).await, (Completed, [20, 0, 0, 0]));
}

#[tokio::test]
async fn calls_and_documents_go_on_together() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 3)).await;
    fixture.settle(id, 1, 1, 2).await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.continue_collection(id, Scope::All).await.unwrap(), [1, 2]);
    assert_eq!(fixture.counts(id).await, (Running, [1, 0, 0, 2]));
    fixture.store_items(id, 2, Vec::new()).await;
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Completed, [3, 0, 0, 0]));
}

/// The job of a batch is ended by the stop, and what it leaves open is settled while somebody continues the
/// collection: the documents wait for the end of the new run, and are not given up in it.
#[tokio::test]
async fn documents_are_not_given_up_while_their_collection_is_continued() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    fixture.cancel(id).await.unwrap();
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::continue_collection(&mut tx, id, Scope::default()).await.unwrap();
    let late = tokio::spawn({
        let (pool, job) = (fixture.pool().clone(), jobs[0].clone());
        async move {
            let by = Discarded { code: Some("cancelled_by_request".to_owned()), ..discarded(0, "over") };
            collection::give_up_documents(&mut pool.acquire().await.unwrap(), &job, &by).await
        }
    });
    fixture.until_blocked(1).await;
    tx.commit().await.unwrap();
    in_time("the late one ends", late).await.unwrap().unwrap();
    assert_eq!(fixture.counts(id).await, (Running, [0, 0, 0, 20]));
    fixture.parse_all(id).await;
    assert_eq!(fixture.counts(id).await, (Completed, [20, 0, 0, 0]));
}
