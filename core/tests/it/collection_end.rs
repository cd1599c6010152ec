//! The end of a run: once, when all its jobs have ended, and never by one of them.

use resume_core::{
    call::{self, Answer},
    collection::{self, CollectionState, Finishing, NewCollection, Scope},
    document,
    jobs::{FinishCollection, MakeCall},
    resume, source,
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::fixture::{
    Fixture, NEXT_LINK, NUMBERED, Random, collection_of, discarded, in_time, items, outcome_of,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    Parse(i64),
    GiveUp(i32),
    StoreEmpty(i32),
}

/// Many batches are parsed, pages given up and empty pages stored, all at once: what was counted is exact.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_at_once_count_what_they_did() {
    const PAGES: i32 = 8;
    let fixture = Fixture::new().await;
    let mut random = Random(3);
    for round in 0..20 {
        let new =
            NewCollection { per_page: Some(3), batch_size: 1, ..collection_of(3 * PAGES as u64, NUMBERED) };
        let id = fixture.start(&new).await;
        let failed_pages = (random.next() % 3) as i32;
        let mut steps: Vec<Step> = Vec::new();
        for place in 1..=PAGES {
            match place {
                n if n <= failed_pages => steps.push(Step::GiveUp(place)),
                4 => steps.push(Step::StoreEmpty(place)),
                _ => _ = fixture.store_items(id, place, items(&format!("{round}-{place}"), 3)).await,
            }
        }
        steps.extend(fixture.waiting(id).await.into_iter().map(|batch| Step::Parse(batch.first_id)));
        random.shuffle(&mut steps);
        let mut at_once = JoinSet::new();
        for step in steps {
            at_once.spawn(run(&fixture, id, step).await);
        }
        in_time("all have ended", at_once.join_all()).await;
        assert!(!fixture.state(id).await.is_over(), "no job ends the run, only what follows them all");

        fixture.end_run(id).await;
        let progress = fixture.progress(id).await;
        let (pages, failed) = (i64::from(PAGES), i64::from(failed_pages));
        let state =
            if failed == 0 { CollectionState::Completed } else { CollectionState::CompletedWithErrors };
        assert_eq!(progress.collection.state, state, "round {round}");
        assert_eq!((progress.counts.done, progress.counts.failed_calls), (pages - failed, failed));
        let documents = 3 * (pages - failed - 1);
        assert_eq!((progress.counts.stored, progress.counts.parsed), (documents, documents));
    }
}

/// A step as a transaction of its own, not begun yet.
async fn run(fixture: &Fixture, id: Uuid, step: Step) -> impl Future<Output = ()> + Send + 'static {
    let pool = fixture.pool().clone();
    let call = match step {
        Step::GiveUp(place) | Step::StoreEmpty(place) => Some(fixture.page(id, place).await),
        Step::Parse(_) => None,
    };
    let source_id = source::mapping_of_collection(&pool, id).await.unwrap().unwrap().source_id;
    let documents = match step {
        Step::Parse(batch) => document::load_waiting(&pool, id, &[batch]).await.unwrap().1,
        _ => Vec::new(),
    };
    async move {
        let mut tx = pool.begin().await.unwrap();
        match (step, call) {
            (Step::Parse(batch), _) => {
                let outcome = outcome_of(&documents, 0);
                resume::settle(&mut tx, source_id, id, &[batch], 0, &outcome).await.unwrap();
            }
            (Step::GiveUp(_), Some(call)) => {
                let job = MakeCall { collection_id: id, call_id: call.id };
                call::give_up(&mut tx, &job, &discarded(i64::MAX, "gone")).await.unwrap();
            }
            (_, Some(call)) => {
                call::store(&mut tx, &call, &Answer::default(), None).await.unwrap();
            }
            (_, None) => unreachable!("it has a call"),
        }
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_run_ends_once() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, Vec::new()).await;
    let ended = fixture.progress(id).await.collection;
    assert_eq!(ended.state, CollectionState::Completed);
    assert_eq!(fixture.finish(id).await, Finishing::Over);
    let earlier = FinishCollection { collection_id: id, run: 0, sweeps: 0 };
    assert_eq!(fixture.finish_as(&earlier).await, Finishing::Nothing);
    assert_eq!(fixture.progress(id).await.collection, ended);
}

#[tokio::test]
async fn documents_that_did_not_parse_are_its_errors() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    for page in [1, 2] {
        fixture.store_items(id, page, items(&format!("page-{page}"), 10)).await;
    }
    for (page, parsed, failed) in [(1, 4, 0), (1, 3, 1), (2, 4, 0), (2, 4, 0), (1, 2, 0), (2, 0, 2)] {
        assert_eq!(fixture.state(id).await, CollectionState::Running);
        fixture.settle(id, page, parsed, failed).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.parsed, progress.failed()), (17, 3));
    assert!(progress.collection.finished_at >= progress.collection.started_at);
}

#[tokio::test]
async fn without_any_page_it_has_failed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(30, NUMBERED)).await;
    for page in 1..=3 {
        fixture.give_up(id, page, "gone").await;
    }
    assert_eq!(fixture.state(id).await, CollectionState::Failed);
}

/// Their worker was killed after it had stored them, say: they get jobs again, three times, and are given up
/// then.
#[tokio::test]
async fn documents_that_nobody_parses_get_jobs_and_are_given_up_in_the_end() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 10)).await;
    for sweeps in 0..3 {
        let job = FinishCollection { collection_id: id, run: sweeps + 1, sweeps };
        assert_eq!(fixture.finish_as(&job).await, Finishing::GoesOn);
        assert_eq!(fixture.finish_as(&job).await, Finishing::Nothing, "that run is over");
        assert_eq!(fixture.parse_jobs(id).await.len(), 3 * (sweeps as usize + 2));
    }
    fixture.settle(id, 1, 4, 0).await;
    let job = FinishCollection { collection_id: id, run: 4, sweeps: 3 };
    assert_eq!(fixture.finish_as(&job).await, Finishing::Done);
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.parsed, progress.counts.given_up, progress.counts.waiting()), (4, 6, 0));
    assert_eq!((&*progress.errors[0].code, progress.errors[0].count), ("job_lost", 6));
}

#[tokio::test]
async fn calls_whose_jobs_were_lost_are_listed_as_failed() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(20, NUMBERED)).await;
    fixture.store_items(id, 1, Vec::new()).await;
    assert_eq!(fixture.finish(id).await, Finishing::Done);
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.done, progress.counts.failed_calls), (1, 1));
    assert_eq!(progress.errors[0].code, "job_lost");
}

impl Fixture {
    /// What follows when the job that ends a run was discarded.
    async fn discard_end(&self, end: &FinishCollection) {
        let mut tx = self.pool().begin().await.unwrap();
        collection::finish_unjudged(&mut tx, end, &discarded(0, "out of memory")).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Somebody discards the job that ends a run, or it has used its attempts up: the collection ends all the
/// same, and says that nobody has judged its list.
#[tokio::test]
async fn a_run_whose_end_was_discarded_ends_as_it_stands() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(30, NUMBERED)).await;
    fixture.store_items(id, 1, items("a", 4)).await;
    fixture.store_items(id, 2, items("b", 4)).await;
    fixture.settle(id, 1, 4, 0).await;
    let end = FinishCollection { collection_id: id, run: 1, sweeps: 0 };
    for _ in 0..2 {
        fixture.discard_end(&end).await;
    }
    let progress = fixture.progress(id).await;
    assert_eq!(progress.collection.state, CollectionState::CompletedWithErrors);
    assert_eq!((progress.counts.failed_calls, progress.counts.given_up, progress.counts.parsed), (1, 4, 4));
    assert_eq!(progress.is_complete, Some(false));
    let codes: Vec<_> = progress.errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["job_lost", "job_lost", "end_discarded"]);
    assert_eq!(fixture.finish_as(&end).await, Finishing::Over);

    assert_eq!(fixture.continue_collection(id, Scope::default()).await.unwrap(), [1, 4]);
    fixture.store_items(id, 3, Vec::new()).await;
    fixture.parse_all(id).await;
    assert_eq!(fixture.state(id).await, CollectionState::Completed);
}

/// Nothing is judged of a chain without a total: the doubt goes with the next end all the same.
#[tokio::test]
async fn a_chain_whose_end_was_discarded_is_complete_when_it_was_continued() {
    let fixture = Fixture::new().await;
    let id = fixture.start(&collection_of(10, NEXT_LINK)).await;
    fixture.store_items(id, 1, items("a", 4)).await;
    fixture.discard_end(&FinishCollection { collection_id: id, run: 1, sweeps: 0 }).await;
    assert_eq!(fixture.progress(id).await.is_complete, Some(false));
    assert_eq!(fixture.continue_collection(id, Scope::default()).await.unwrap(), [0, 4]);
    fixture.parse_all(id).await;
    let progress = fixture.progress(id).await;
    assert_eq!((progress.collection.state, progress.is_complete), (CollectionState::Completed, Some(true)));
}
