//! Lists that move while they are read by page numbers: the exact end of the collection, and every item once.

use std::{collections::BTreeSet, time::Duration};

use mock_ats::{Api, Fault, FaultKind, Pages as OnPages, Times};
use resume_core::{
    collection::{CollectionState, NewCollection},
    source::definition::{Definition, Deleted, DeletedPolicy, Paging},
};

use crate::{
    harness::{collection_of, in_time},
    outcome::{Documents, Outcome},
    source_faults::Faulty,
};

/// Lets Teamtailor's list be read by numbers; it announces its total.
fn by_numbers(definition: &mut Definition) {
    definition.list.paging = Paging::Numbered { first: 1, total: Some("/meta/record-count".to_owned()) };
    definition.list.params.insert("page[number]".to_owned(), "{page}".parse().unwrap());
}

/// A list of so many people that tells their number; ten a page.
async fn list_of(people: u32) -> Faulty {
    let faulty = Faulty::start_with(Api::Teamtailor, by_numbers).await;
    faulty.pipeline.mock.ats().set_people(faulty.api, people);
    faulty
}

/// Who goes in the middle of a long list.
const GOES: u32 = 33;

/// Two pages, one after the other.
const PEOPLE: u32 = 15;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_comes_in_at_the_head_is_found_and_nobody_is_lost() {
    let faulty = list_of(PEOPLE).await;
    faulty.set_fault(FaultKind::PersonComes, OnPages::One(2), Times::First(1));
    let (outcome, is_complete) = faulty.collected().await;
    // The tenth came twice, so both pages were read again.
    let documents = Documents { stored: 16, unchanged: 1, parsed: 16, failed: 0 };
    assert_eq!(outcome, Outcome { documents, ..Outcome::smooth(4, 16) });
    assert_eq!(is_complete, Some(true));
    faulty.assert_people(PEOPLE + 1, &outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_moved_past_its_reader_is_found() {
    let faulty = list_of(PEOPLE).await;
    faulty.set_fault(FaultKind::PersonGoes(3), OnPages::One(2), Times::First(1));
    let (outcome, is_complete) = faulty.collected().await;
    assert_eq!(outcome, Outcome::smooth(3, 15));
    assert_eq!(is_complete, Some(true));
    faulty.assert_people(PEOPLE, &outcome).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_announces_more_than_it_gives_has_items_missing() {
    let faulty = list_of(PEOPLE).await;
    faulty.set_fault(FaultKind::AnnouncesMore(5), OnPages::All, Times::Always);
    let (outcome, is_complete) = faulty.collected().await;
    let expected = Outcome {
        state: CollectionState::CompletedWithErrors,
        errors: vec![("items_missing".to_owned(), 5)],
        ..Outcome::smooth(3, 15)
    };
    assert_eq!((outcome, is_complete), (expected, Some(false)));
}

/// Nobody announces anything: what comes twice tells, and a page that is short.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_a_total_is_read_again_where_it_looks_odd() {
    for (fault, page, people) in
        [(FaultKind::PersonComes, 2, PEOPLE + 1), (FaultKind::PageSizeHalves, 1, PEOPLE)]
    {
        let faulty = Faulty::start(Api::Recruitee).await;
        faulty.pipeline.mock.ats().set_people(faulty.api, PEOPLE);
        faulty.set_fault(fault, OnPages::One(page), Times::First(1));
        let (outcome, is_complete) = faulty.collected().await;
        assert_eq!((outcome.state, &outcome.errors), (CollectionState::Completed, &Vec::new()), "{fault:?}");
        assert_eq!((outcome.documents.stored, is_complete), (people.into(), Some(true)), "{fault:?}");
        faulty.assert_people(people, &outcome).await;
    }
}

/// Those who are gone are hidden behind the end of the collection, by the follow-up of its jobs.
#[tokio::test(flavor = "multi_thread")]
async fn whom_the_source_lists_no_more_searches_do_not_find() {
    let faulty = Faulty::start_with(Api::Teamtailor, |definition| {
        by_numbers(definition);
        definition.list.deleted = Some(Deleted { missing: Some(DeletedPolicy::Hide), ..Deleted::default() });
    })
    .await;
    let pipeline = &faulty.pipeline;
    let worker = pipeline.worker();
    for people in [15, 12, 14] {
        pipeline.mock.ats().set_people(faulty.api, people);
        let new = NewCollection { full: true, ..collection_of(1000, faulty.api.name()) };
        let id = pipeline.collect(&new).await;
        pipeline.ended(id).await;
        let visible = async || {
            let count =
                sqlx::query_scalar!(r#"select count(*) as "count!" from resumes where hidden_at is null"#);
            count.fetch_one(&pipeline.pool).await.unwrap()
        };
        let hidden = async {
            while visible().await != i64::from(people) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        in_time("the others are hidden", hidden).await;
    }
    worker.stop().await;
}

/// Twenty pages side by side, in whatever order they come.
#[tokio::test(flavor = "multi_thread")]
async fn many_pages_side_by_side_lose_nobody() {
    for fault in [FaultKind::PersonComes, FaultKind::PersonGoes(GOES)] {
        let faulty = list_of(200).await;
        faulty.set_fault(fault, OnPages::One(7), Times::First(1));
        let (outcome, is_complete) = faulty.collected().await;
        assert_eq!((outcome.state, &outcome.errors), (CollectionState::Completed, &Vec::new()), "{fault:?}");
        assert_eq!(is_complete, Some(true), "{fault:?}");
        let found: BTreeSet<String> = faulty.pipeline.resumes(faulty.api.name()).await.into_keys().collect();
        assert_eq!(outcome.documents.stored, found.len() as i64);
        // Who came in on the first page, after that was read, is the next run's; who went before their page
        // was read is gone.
        let may_lack = if fault == FaultKind::PersonComes { 200 } else { u64::from(GOES) };
        for index in (0..200).filter(|&index| index != may_lack) {
            assert!(found.contains(&faulty.api.external_id(index)), "{fault:?}: {index}");
        }
        assert!((199..=201).contains(&found.len()), "{fault:?}: {}", found.len());
    }
}

/// Many systems answer 404 to a page behind their last.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_not_there_ends_the_list() {
    let faulty = Faulty::start_with(Api::Recruitee, |definition| definition.detail = None).await;
    faulty.pipeline.mock.ats().set_people(faulty.api, PEOPLE);
    let missing = |page| Fault::new(FaultKind::Status(404), OnPages::One(page), Times::Always);
    faulty.pipeline.mock.ats().set_api_faults(faulty.api, (3..100).map(missing).collect::<Vec<_>>());
    let (outcome, is_complete) = faulty.collected().await;
    assert_eq!((outcome.state, &outcome.errors), (CollectionState::Completed, &Vec::new()));
    assert_eq!(is_complete, Some(true));
    assert!(outcome.calls.made <= 7, "{:?}", outcome.calls);
    faulty.assert_people(PEOPLE, &outcome).await;
}
