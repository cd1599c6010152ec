//! Items that take more than one call: a list for each parent, and a detail call for each item.

use std::time::Duration;

use mock_ats::{Api, DETAILS_FROM, FaultKind, Pages as OnPages, Times};
use resume_core::{
    collection::{CollectionState, NewCollection},
    source::definition::{Definition, Interval, Limit},
};

use crate::{
    harness::collection_of,
    outcome::{Documents, Outcome, Pages},
    source_faults::{Faulty, PEOPLE, made},
};

/// One list of positions, two pages of the three positions that have candidates, the second of them empty,
/// and one page of the fourth, which has none.
const BREEZY_LISTS: i64 = 1 + 3 * 2 + 1;

fn as_it_is(_: &mut Definition) {}

#[tokio::test(flavor = "multi_thread")]
async fn every_parent_has_a_list() {
    let faulty = Faulty::start(Api::Breezy).await;
    let (outcome, _) = faulty.collected().await;
    assert_eq!(outcome, Outcome::smooth(BREEZY_LISTS, PEOPLE.into()));
    faulty.assert_people(PEOPLE, &outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_fails_fails_alone_and_is_resumed() {
    let faulty = Faulty::start(Api::Breezy).await;
    faulty.set_fault(FaultKind::Status(404), OnPages::One(1001), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let expected = Outcome {
        state: CollectionState::CompletedWithErrors,
        pages: Pages { expected: BREEZY_LISTS - 1, fetched: BREEZY_LISTS - 2, failed: 1 },
        documents: Documents { stored: 17, unchanged: 0, parsed: 17, failed: 0 },
        calls: made(BREEZY_LISTS - 1),
        errors: vec![("source_http_404".to_owned(), 1)],
    };
    assert_eq!(faulty.pipeline.outcome(id).await, expected);
    let progress = faulty.pipeline.progress(id).await;
    assert_eq!(progress.errors[0].sample, "page 1 of position-2: the source answered 404 Not Found");

    faulty.end_faults();
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    let smooth = Outcome::smooth(BREEZY_LISTS, PEOPLE.into());
    assert_eq!(outcome, Outcome { calls: made(BREEZY_LISTS + 1), ..smooth });
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_parents_a_collection_fails() {
    let faulty = Faulty::start(Api::Breezy).await;
    faulty.set_fault(FaultKind::Status(404), OnPages::One(0), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let progress = faulty.pipeline.ended(id).await;
    assert_eq!((progress.collection.state, progress.counts.made), (CollectionState::Failed, 1));
    assert_eq!(progress.pages_expected, None, "nobody knows how many there would have been");
    worker.stop().await;
}

/// Two workers die in the middle of it, one while there are lists to read, one among the details.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_in_the_middle_loses_nothing_and_doubles_nothing() {
    let faulty = Faulty::start_in_full(Api::Breezy, |definition| {
        definition.limits = vec![Limit { calls: 40, per: Interval(Duration::from_secs(1)), burst: 1 }];
    })
    .await;
    // One a page: each position's last page is empty.
    let lists = 1 + i64::from(PEOPLE) + 4;
    let new = NewCollection { per_page: Some(1), ..collection_of(1000, Api::Breezy.name()) };
    let id = faulty.pipeline.collect(&new).await;
    for fetched in [5, 25] {
        let worker = faulty.pipeline.worker();
        faulty.pipeline.until(id, "some of it is fetched", |p| p.counts.done >= fetched).await;
        worker.crash().await;
    }
    let worker = faulty.pipeline.worker();
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome, Outcome::smooth(lists + i64::from(PEOPLE), PEOPLE.into()));
    let resumes = faulty.pipeline.resumes(Api::Breezy.name()).await;
    assert_eq!(resumes.len() as u32, PEOPLE);
    // Only what was under way when they died was asked for again.
    let calls = faulty.pipeline.mock.ats().api_stats(Api::Breezy).calls as i64;
    assert!((outcome.calls.made..=outcome.calls.made + 2 * 16).contains(&calls), "{calls}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_has_its_details() {
    // Three pages of the list. Numbered ones are asked for in vain too, behind the end.
    for (api, lists) in [(Api::Workable, 3), (Api::Recruitee, 7)] {
        let faulty = Faulty::start_in_full(api, as_it_is).await;
        let (outcome, _) = faulty.collected().await;
        let pages = outcome.pages;
        assert!(pages.fetched <= lists + i64::from(PEOPLE), "{api:?}: {pages:?}");
        let smooth = Outcome::smooth(pages.fetched, PEOPLE.into());
        assert_eq!((outcome.state, &outcome.errors, outcome.calls), (smooth.state, &vec![], smooth.calls));
        assert_eq!(outcome.documents, smooth.documents, "{api:?}");
        faulty.assert_people(PEOPLE, &outcome).await;
        let resumes = faulty.pipeline.resumes(api.name()).await;
        assert!(resumes.values().any(|skills| !skills.is_empty()), "{api:?}: which the list has not");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_is_gone_when_it_is_asked_for_is_no_error() {
    for status in [404, 410] {
        let faulty = Faulty::start_in_full(Api::Workable, as_it_is).await;
        faulty.set_fault(FaultKind::Status(status), OnPages::One(DETAILS_FROM + 24), Times::Always);
        let (outcome, _) = faulty.collected().await;
        let smooth = Outcome::smooth(3 + 25, 24);
        assert_eq!(outcome, smooth, "{status}");
        faulty.assert_people(24, &outcome).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detail_that_fails_fails_alone_and_is_resumed() {
    let faulty = Faulty::start_in_full(Api::Workable, as_it_is).await;
    faulty.set_fault(FaultKind::Status(400), OnPages::One(DETAILS_FROM + 24), Times::Always);
    let worker = faulty.pipeline.worker();
    let id = faulty.collect().await;
    let expected = Outcome {
        state: CollectionState::CompletedWithErrors,
        pages: Pages { expected: 28, fetched: 27, failed: 1 },
        documents: Documents { stored: 24, unchanged: 0, parsed: 24, failed: 0 },
        calls: made(28),
        errors: vec![("source_http_400".to_owned(), 1)],
    };
    assert_eq!(faulty.pipeline.outcome(id).await, expected);
    let sample = faulty.pipeline.progress(id).await.errors[0].sample.clone();
    let about = Api::Workable.external_id(24);
    assert_eq!(sample, format!("detail of {about}: the source answered 400 Bad Request"));

    faulty.end_faults();
    assert_eq!(faulty.pipeline.continue_collection(id).await, 1);
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome, Outcome { calls: made(29), ..Outcome::smooth(28, 25) });
    faulty.assert_people(PEOPLE, &outcome).await;
    worker.stop().await;
}

/// A system that gives more on a page than was asked for does not make us ask for details that nobody wants.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_details_are_asked_for_than_items_were() {
    let faulty = Faulty::start_in_full(Api::Workable, as_it_is).await;
    let worker = faulty.pipeline.worker();
    let id = faulty.pipeline.collect(&collection_of(5, Api::Workable.name())).await;
    let outcome = faulty.pipeline.outcome(id).await;
    assert_eq!(outcome, Outcome::smooth(1 + 5, 5));
    faulty.assert_people(5, &outcome).await;
    worker.stop().await;
}
