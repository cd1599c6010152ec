//! Percent and time left, computed from the counts of a collection.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use resume_core::collection::{Collection, CollectionState, Progress};
use uuid::Uuid;

/// A collection of 1,000 items on ten pages, at 30 calls a second: triggered at 0 s, its first page stored at 10 s, looked
/// at `seconds` later.
fn progress(seconds: f64, pages: [i64; 2], documents: [i64; 4]) -> Progress {
    let created_at = DateTime::<Utc>::UNIX_EPOCH;
    let started_at = created_at + TimeDelta::seconds(10);
    let [pages_fetched, pages_failed] = pages;
    let [stored, unchanged, parsed, failed] = documents;
    Progress {
        collection: Collection {
            id: Uuid::nil(),
            source: "ats".to_owned(),
            state: CollectionState::Running,
            count: 1000,
            per_page: 100,
            batch_size: 10,
            error_mode: false,
            seed: 0,
            created_at,
            started_at: Some(started_at),
            finished_at: None,
        },
        pages_expected: Some(10),
        pages_fetched,
        pages_failed,
        stored,
        unchanged,
        parsed,
        failed,
        calls: pages_fetched,
        rate_limited: 0,
        calls_per_second: 30.0,
        errors: Vec::new(),
        seen_at: started_at + TimeDelta::microseconds((seconds * 1e6) as i64),
    }
}

#[test]
fn percent_is_half_pages_and_half_documents() {
    for (pages, documents, percent) in [
        ([0, 0], [0, 0, 0, 0], 0.0),
        ([1, 0], [100, 0, 0, 0], 5.0),
        ([1, 0], [100, 0, 50, 50], 10.0),
        ([5, 0], [500, 0, 0, 0], 25.0),
        ([5, 0], [0, 500, 0, 0], 50.0),
        ([10, 0], [1000, 0, 400, 100], 75.0),
        // A page that is given up brings no documents.
        ([9, 1], [900, 0, 450, 0], 75.0),
        ([0, 10], [0, 0, 0, 0], 50.0),
        // All is done but the end itself.
        ([10, 0], [1000, 0, 1000, 0], 99.9),
        // More than was asked for.
        ([12, 0], [1200, 0, 1200, 0], 99.9),
    ] {
        let got = progress(5.0, pages, documents).percent();
        assert!((got - percent).abs() < 1e-9, "{pages:?} {documents:?}: {got} instead of {percent}");
    }
}

#[test]
fn an_unknown_number_of_pages_counts_as_none() {
    let unknown = Progress { pages_expected: None, ..progress(5.0, [3, 0], [300, 0, 300, 0]) };
    assert_eq!((unknown.percent(), unknown.eta()), (50.0, None));
}

#[test]
fn what_is_over_is_at_a_hundred() {
    use CollectionState::{Cancelled, Completed, CompletedWithErrors, Failed};
    for state in [Completed, CompletedWithErrors, Failed, Cancelled] {
        assert!(state.is_over());
        let mut over = progress(5.0, [2, 8], [200, 0, 0, 0]);
        over.collection.state = state;
        assert_eq!((over.percent(), over.eta()), (100.0, Some(Duration::ZERO)));
    }
    for state in [CollectionState::Pending, CollectionState::WaitingForSource, CollectionState::Paused] {
        assert!(!state.is_over());
    }
}

#[test]
fn the_time_left_is_what_the_slower_half_needs() {
    for (seconds, pages, documents, eta) in [
        // Fetching decides: 5 pages left at 1 page a second, 500 documents at 100 a second.
        (5.0, [5, 0], [500, 0, 500, 0], Some(5.0)),
        // Parsing decides: 900 documents left at 20 a second.
        (5.0, [5, 0], [500, 0, 100, 0], Some(45.0)),
        (5.0, [10, 0], [1000, 0, 50, 50], Some(45.0)),
        // What is known needs no parsing.
        (5.0, [10, 0], [0, 1000, 0, 0], Some(0.0)),
        // In the first two seconds the limit is the better guess for fetching: 9 pages at 30 a second.
        (0.1, [1, 0], [0, 100, 0, 0], Some(0.9)),
        (1.0, [1, 0], [100, 0, 100, 0], Some(9.0)),
        // Nothing is parsed: nothing to judge by.
        (5.0, [5, 0], [500, 0, 0, 0], None),
        // Pages that are given up are not waited for.
        (5.0, [5, 5], [500, 0, 500, 0], Some(0.0)),
    ] {
        let got = progress(seconds, pages, documents).eta().map(|eta| eta.as_secs_f64());
        let close = match (got, eta) {
            (Some(got), Some(eta)) => (got - eta).abs() < 1e-6,
            (got, eta) => got == eta,
        };
        assert!(close, "{seconds} s, {pages:?} {documents:?}: {got:?} instead of {eta:?}");
    }
}

#[test]
fn before_the_first_page_there_is_no_estimate() {
    let mut pending = progress(0.0, [0, 0], [0, 0, 0, 0]);
    pending.collection.started_at = None;
    assert_eq!((pending.percent(), pending.eta()), (0.0, None));
}

#[test]
fn a_last_page_that_is_not_full_is_not_counted_as_full() {
    let mut last = progress(5.0, [9, 0], [900, 0, 900, 0]);
    last.collection.count = 910;
    // 9 of 10 pages, and 900 of 910 documents.
    assert!((last.percent() - 50.0 * (0.9 + 900.0 / 910.0)).abs() < 1e-9, "{}", last.percent());
}

#[test]
fn elapsed_runs_from_the_trigger_to_the_end() {
    let mut running = progress(5.0, [5, 0], [0, 0, 0, 0]);
    assert_eq!(running.elapsed(), Duration::from_secs(15));
    running.collection.finished_at = Some(running.collection.created_at + TimeDelta::seconds(12));
    assert_eq!(running.elapsed(), Duration::from_secs(12));
}
