//! Going on with a collection where documents failed: each counts once, whatever became of it before.

use resume_core::{
    collection::{self, BatchResult, CollectionState, ResumeError, Resumed, Scope},
    jobs::{FinishCollection, ParseDocuments},
    resume::{self, NewParseFailure},
};
use resume_queue::Discarded;
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED, collection_of, discarded, in_time, items};

use CollectionState::{Cancelled, Completed, CompletedWithErrors, Running};

impl Fixture {
    async fn resume_scope(&self, id: Uuid, scope: Scope) -> Result<[usize; 2], ResumeError> {
        let mut tx = self.pool().begin().await.unwrap();
        let Resumed { pages, documents } = collection::resume(&mut tx, id, scope).await?;
        tx.commit().await.unwrap();
        Ok([pages, documents])
    }

    /// Parses a batch, as its job does, but for the resumes; the first `bad` documents fail.
    async fn run_parse(&self, job: &ParseDocuments, bad: usize) {
        let failures: Vec<_> = job.document_ids[..bad].iter().map(|&id| failure(id)).collect();
        let mut tx = self.pool().begin().await.unwrap();
        resume::store_failures(&mut tx, (NUMBERED, 0), (job.collection_id, job.page), &failures)
            .await
            .unwrap();
        let result = BatchResult { parsed: job.document_ids.len() - bad, failed: bad };
        if collection::settle_batch(&mut tx, job, result).await.unwrap() {
            resume::withdraw_failures(&mut tx, &job.document_ids[bad..]).await.unwrap();
        }
        tx.commit().await.unwrap();
    }

    async fn end_by_request(&self, job: &ParseDocuments) {
        let by = Discarded { code: Some("cancelled_by_request".to_owned()), ..discarded(0, "over") };
        let mut tx = self.pool().begin().await.unwrap();
        collection::give_up_documents(&mut tx, job, &by).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// A collection of two pages with ten documents each, in six batches; and its parsing jobs.
    async fn two_pages(&self) -> (Uuid, Vec<ParseDocuments>) {
        let id = self.start(&collection_of(20, NUMBERED)).await;
        self.store_items(id, 1, items(&format!("{id}-1"), 10)).await;
        self.store_items(id, 2, items(&format!("{id}-2"), 10)).await;
        (id, self.parse_jobs(id).await)
    }

    /// The jobs that have come since there were so many.
    async fn new_jobs(&self, id: Uuid, before: usize) -> Vec<ParseDocuments> {
        self.parse_jobs(id).await.split_off(before)
    }

    /// The state, the documents that were parsed and that failed, the failures that are listed, and the open pages.
    async fn told(&self, id: Uuid) -> (CollectionState, [i64; 3], i32) {
        let progress = self.progress(id).await;
        let of_documents = |code: &str| ["bad", "cancelled_by_request", "parser_crashed"].contains(&code);
        let listed = progress.errors.iter().filter(|error| of_documents(&error.code)).map(|e| e.count).sum();
        (progress.collection.state, [progress.parsed, progress.failed, listed], self.pages_open(id).await)
    }

    async fn refuses(&self, id: Uuid, scope: Scope) -> ResumeError {
        let before = (self.rows().await, self.told(id).await);
        let refused = self.resume_scope(id, scope).await.unwrap_err();
        assert_eq!((self.rows().await, self.told(id).await), before);
        refused
    }
}

fn failure(raw_document_id: i64) -> NewParseFailure {
    NewParseFailure { raw_document_id, code: "bad", pointer: String::new(), detail: String::new() }
}

#[tokio::test]
async fn failed_documents_are_parsed_again_however_often() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    for (job, bad) in jobs.iter().zip([1, 4, 0, 0, 2, 0]) {
        fixture.run_parse(job, bad).await;
    }
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [13, 7, 7], 0));
    let unfinished = fixture.refuses(id, Scope::Unfinished).await;
    assert!(matches!(unfinished, ResumeError::NothingFailed(CompletedWithErrors)), "{unfinished:?}");
    assert!(matches!(fixture.refuses(id, Scope::Pages).await, ResumeError::NothingFailed(_)));

    let ended = fixture.progress(id).await.collection.finished_at;
    assert_eq!(fixture.resume_scope(id, Scope::Documents).await.unwrap(), [0, 7]);
    assert_eq!(fixture.told(id).await, (Running, [13, 0, 0], 2));
    let again = fixture.new_jobs(id, 6).await;
    let batches: Vec<_> = again.iter().map(|job| (job.page, job.document_ids.len(), job.pass)).collect();
    assert_eq!(batches, [(1, 4, 1), (1, 1, 1), (2, 2, 1)]);
    // Half of them fail again.
    for (job, bad) in again.iter().zip([2, 0, 1]) {
        assert_eq!(fixture.state(id).await, Running);
        fixture.run_parse(job, bad).await;
    }
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [17, 3, 3], 0));
    assert!(fixture.progress(id).await.collection.finished_at > ended);

    assert_eq!(fixture.resume_scope(id, Scope::All).await.unwrap(), [0, 3]);
    for job in fixture.new_jobs(id, 9).await {
        assert_eq!(job.pass, 2);
        fixture.run_parse(&job, 0).await;
    }
    assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
    assert!(matches!(fixture.refuses(id, Scope::All).await, ResumeError::NothingFailed(Completed)));
    assert_eq!(fixture.fetch_jobs(id).await, [1, 2], "no call is made");
}

/// What the parser has told is not asked again, unless that is asked for.
#[tokio::test]
async fn documents_that_nobody_parsed_are_part_of_what_is_unfinished() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    for (job, bad) in jobs.iter().zip([1, 0, 0, 0]) {
        fixture.run_parse(job, bad).await;
    }
    fixture.end_by_request(&jobs[4]).await;
    fixture.end_by_request(&jobs[5]).await;
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [13, 7, 7], 0));
    assert_eq!(fixture.resume_scope(id, Scope::Unfinished).await.unwrap(), [0, 6]);
    assert_eq!(fixture.told(id).await, (Running, [13, 1, 1], 1));
    for job in fixture.new_jobs(id, 6).await {
        fixture.run_parse(&job, 0).await;
    }
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [19, 1, 1], 0));
}

/// The old jobs are retried, run and are ended once more, in whatever order: the new ones count.
#[tokio::test]
async fn jobs_from_before_count_no_more() {
    for first in [false, true] {
        let fixture = Fixture::new().await;
        let (id, jobs) = fixture.two_pages().await;
        for job in &jobs[..4] {
            fixture.run_parse(job, 0).await;
        }
        fixture.end_by_request(&jobs[4]).await;
        fixture.end_by_request(&jobs[5]).await;
        assert_eq!(fixture.resume_scope(id, Scope::Unfinished).await.unwrap(), [0, 6]);
        let again = fixture.new_jobs(id, 6).await;
        assert_eq!(again[0].document_ids, jobs[4].document_ids, "the same batch");
        if first {
            fixture.run_parse(&jobs[4], 0).await;
            fixture.end_by_request(&jobs[5]).await;
            assert_eq!(fixture.told(id).await, (Running, [14, 0, 0], 1));
        }
        for job in &again {
            fixture.run_parse(job, 0).await;
        }
        assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
        fixture.run_parse(&jobs[5], 0).await;
        fixture.end_by_request(&jobs[4]).await;
        assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
    }
}

/// Given up again, and parsed by a retry, a batch of a later pass is counted as one of the first.
#[tokio::test]
async fn a_later_pass_counts_as_the_first_does() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    fixture.end_by_request(&jobs[0]).await;
    for job in &jobs[1..] {
        fixture.run_parse(job, 0).await;
    }
    fixture.resume_scope(id, Scope::Unfinished).await.unwrap();
    let again = fixture.new_jobs(id, 6).await;
    fixture.end_by_request(&again[0]).await;
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [16, 4, 4], 0));
    fixture.run_parse(&again[0], 1).await;
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [19, 1, 1], 0));
    fixture.resume_scope(id, Scope::Documents).await.unwrap();
    fixture.run_parse(&fixture.new_jobs(id, 7).await[0], 0).await;
    assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
}

/// The run was closed before the jobs had told what became of their batches: nobody knows which, so all are parsed.
#[tokio::test]
async fn a_page_whose_jobs_were_lost_is_parsed_as_a_whole() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    for (job, bad) in jobs.iter().zip([4, 0, 0, 1]) {
        fixture.run_parse(job, bad).await;
    }
    let mut conn = fixture.pool().acquire().await.unwrap();
    let finish = FinishCollection { collection_id: id, run: 1 };
    assert_eq!(collection::close(&mut conn, &finish).await.unwrap(), 1);
    drop(conn);
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [9, 5, 5], 0));
    assert_eq!(fixture.resume_scope(id, Scope::Unfinished).await.unwrap(), [0, 10]);
    assert_eq!(fixture.told(id).await, (Running, [6, 4, 4], 1));
    for job in fixture.new_jobs(id, 6).await {
        assert_eq!((job.page, job.pass), (2, 1));
        fixture.run_parse(&job, 0).await;
    }
    fixture.run_parse(&jobs[5], 0).await;
    assert_eq!(fixture.told(id).await, (CompletedWithErrors, [16, 4, 4], 0));
    let codes: Vec<_> = fixture.progress(id).await.errors.into_iter().map(|error| error.code).collect();
    assert_eq!(codes, ["bad"]);
}

/// Its parsing jobs are ended, or about to be, or run: whatever becomes of them, everything is parsed when it goes on.
#[tokio::test]
async fn a_cancelled_collection_that_goes_on_parses_what_it_had_stored() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(40, NUMBERED)).await;
    for page in 1..=3 {
        fixture.store_items(id, page, items(&format!("p{page}"), 10)).await;
    }
    let jobs = fixture.parse_jobs(id).await;
    fixture.run_parse(&jobs[0], 0).await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::cancel(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    let stopped = fixture.refuses(id, Scope::Documents).await;
    assert!(matches!(stopped, ResumeError::Stopped(Cancelled)), "{stopped:?}");
    // Of the first page one is ended, of the second all, of the third none so far.
    for job in [&jobs[1], &jobs[3], &jobs[4], &jobs[5]] {
        fixture.end_by_request(job).await;
    }
    assert_eq!(fixture.told(id).await, (Cancelled, [4, 14, 14], 3));
    assert_eq!(fixture.resume_scope(id, Scope::Unfinished).await.unwrap(), [1, 30]);
    assert_eq!(fixture.told(id).await, (Running, [0, 0, 0], 4));
    fixture.run_parse(&jobs[2], 0).await;
    fixture.end_by_request(&jobs[6]).await;
    fixture.store_items(id, 4, items("p4", 4)).await;
    for job in fixture.new_jobs(id, 9).await {
        assert_eq!(fixture.state(id).await, Running);
        fixture.run_parse(&job, 0).await;
    }
    assert_eq!(fixture.told(id).await, (Completed, [34, 0, 0], 0));
}

/// All that it had was settled while it was being cancelled: nothing would come to end it.
#[tokio::test]
async fn a_cancelled_collection_with_nothing_left_to_do_ends() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    let mut tx = fixture.pool().begin().await.unwrap();
    collection::cancel(&mut tx, id).await.unwrap();
    tx.commit().await.unwrap();
    for job in &jobs {
        fixture.run_parse(job, 0).await;
    }
    assert_eq!(fixture.told(id).await, (Cancelled, [20, 0, 0], 0));
    assert_eq!(fixture.resume_scope(id, Scope::Unfinished).await.unwrap(), [0, 0]);
    assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
}

#[tokio::test]
async fn pages_and_documents_go_on_together() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(id, 1, items("p", 3)).await;
    fixture.run_parse(&fixture.parse_jobs(id).await[0], 2).await;
    fixture.give_up(id, 2, "gone").await;
    assert_eq!(fixture.resume_scope(id, Scope::All).await.unwrap(), [1, 2]);
    assert_eq!(fixture.told(id).await, (Running, [1, 0, 0], 2));
    fixture.store_items(id, 2, Vec::new()).await;
    fixture.run_parse(&fixture.new_jobs(id, 1).await[0], 0).await;
    assert_eq!(fixture.told(id).await, (Completed, [3, 0, 0], 0));
}

/// A retried job holds the page while it is opened again: it is waited for, and its documents are seen as it left them.
#[tokio::test(flavor = "multi_thread")]
async fn a_retried_job_that_is_about_to_commit_is_waited_for() {
    let fixture = Fixture::new().await;
    let (id, jobs) = fixture.two_pages().await;
    for job in &jobs[1..] {
        fixture.run_parse(job, 0).await;
    }
    fixture.end_by_request(&jobs[0]).await;
    let mut retried = fixture.pool().begin().await.unwrap();
    let result = BatchResult { parsed: 3, failed: 1 };
    resume::store_failures(&mut retried, (NUMBERED, 0), (id, 1), &[failure(jobs[0].document_ids[0])])
        .await
        .unwrap();
    assert!(collection::settle_batch(&mut retried, &jobs[0], result).await.unwrap());
    let resumed = tokio::spawn({
        let pool = fixture.pool().clone();
        async move {
            let mut tx = pool.begin().await.unwrap();
            let resumed = collection::resume(&mut tx, id, Scope::Documents).await;
            tx.commit().await.unwrap();
            resumed
        }
    });
    fixture.until_blocked(1).await;
    resume::withdraw_failures(&mut retried, &jobs[0].document_ids[1..]).await.unwrap();
    retried.commit().await.unwrap();
    let resumed = in_time("the resume ends", resumed).await.unwrap().unwrap();
    assert_eq!(resumed, Resumed { pages: 0, documents: 1 });
    assert_eq!(fixture.told(id).await, (Running, [19, 0, 0], 1));
    fixture.run_parse(&fixture.new_jobs(id, 6).await[0], 0).await;
    assert_eq!(fixture.told(id).await, (Completed, [20, 0, 0], 0));
}
