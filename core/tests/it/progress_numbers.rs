//! Percent and time left, computed from the counts of a collection.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use resume_core::{
    call_limit::RecentCalls,
    collection::{Collection, CollectionState, Counts, Progress, Speeds},
};
use uuid::Uuid;

use CollectionState::{Cancelled, Completed, CompletedWithErrors, Failed, Running};

/// A collection of 1,000 items on ten pages, at 30 calls a second: triggered at 0 s, its first page stored at
/// 10 s, looked at `seconds` later, since when all has come at an even speed, to this moment. The pages that
/// are done and that failed, and the documents that are stored, unchanged, parsed and failed.
fn progress(seconds: f64, pages: [i64; 2], documents: [i64; 4]) -> Progress {
    let created_at = DateTime::<Utc>::UNIX_EPOCH;
    let started_at = created_at + TimeDelta::seconds(10);
    let [done, failed_calls] = pages;
    let [stored, unchanged, parsed, failed] = documents;
    Progress {
        collection: Collection {
            id: Uuid::nil(),
            source: "ats".to_owned(),
            state: Running,
            count: Some(1000),
            per_page: 100,
            batch_size: 10,
            error_mode: false,
            seed: 0,
            created_at,
            started_at: Some(started_at),
            finished_at: None,
        },
        counts: Counts {
            done,
            failed_calls,
            made: done,
            listed: stored + unchanged,
            stored,
            unchanged,
            parsed,
            failed,
            ..Counts::default()
        },
        speeds: Speeds {
            done_per_second: done as f64 / seconds,
            settled_per_second: (parsed + failed) as f64 / seconds,
        },
        pages_expected: Some(10),
        total_backlog: 0,
        is_lagging: false,
        calls_per_second: 30.0,
        recent_calls: RecentCalls::default(),
        errors: Vec::new(),
        waiting: Vec::new(),
        waits_for: None,
        is_complete: None,
        calls_deleted: false,
        is_cut: false,
        seen_at: started_at + TimeDelta::microseconds((seconds * 1e6) as i64),
    }
}

#[track_caller]
fn assert_percent(progress: &Progress, expected: f64) {
    let got = progress.percent();
    assert!((got - expected).abs() < 1e-9, "{got} instead of {expected}: {progress:#?}");
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
        // A page that is given up is not done, and brings no documents.
        ([9, 1], [900, 0, 450, 0], 70.0),
        ([0, 10], [0, 0, 0, 0], 0.0),
        // All is done but the end itself.
        ([10, 0], [1000, 0, 1000, 0], 99.9),
        // More than was asked for.
        ([12, 0], [1200, 0, 1200, 0], 99.9),
    ] {
        assert_percent(&progress(5.0, pages, documents), percent);
    }
}

/// A call for each item, a hundred of them named by one page of a list: what is left brings one item each,
/// and not a hundred.
#[test]
fn calls_for_one_item_count_as_one() {
    let mut details = progress(5.0, [51, 0], [50, 0, 50, 0]);
    (details.collection.count, details.pages_expected) = (Some(1_000_000), Some(101));
    let percent = details.percent();
    assert!((percent - 50.0).abs() < 1.0, "{percent}");
}

/// No more than what was asked for is there, and nothing at all where everything was.
#[test]
fn an_unknown_number_of_pages_is_not_overstated() {
    let mut unknown = Progress { pages_expected: None, ..progress(5.0, [3, 0], [300, 0, 300, 0]) };
    assert_percent(&unknown, 30.0);
    assert_eq!(unknown.eta(), None);
    unknown.collection.count = None;
    assert_percent(&unknown, 0.0);
    unknown.collection.state = Completed;
    assert_percent(&unknown, 100.0);
}

#[test]
fn what_is_over_is_at_a_hundred_only_where_everything_was_done() {
    let over = |state, pages, documents| {
        let mut over = progress(5.0, pages, documents);
        assert!(CollectionState::is_over(state));
        over.collection.state = state;
        assert_eq!(over.eta(), Some(Duration::ZERO));
        over
    };
    assert_percent(&over(Completed, [2, 0], [200, 0, 200, 0]), 100.0);
    assert_percent(&over(CompletedWithErrors, [10, 0], [1000, 0, 900, 100]), 100.0);
    assert_percent(&over(CompletedWithErrors, [9, 1], [900, 0, 900, 0]), 90.0);
    assert_percent(&over(Failed, [0, 10], [0, 0, 0, 0]), 0.0);
    let mut cancelled = over(Cancelled, [12, 0], [114, 0, 114, 0]);
    (cancelled.collection.count, cancelled.pages_expected) = (Some(400), Some(40));
    let percent = cancelled.percent();
    assert!((25.0..=30.0).contains(&percent), "114 of 400 are not {percent} %");
    for state in [CollectionState::Pending, CollectionState::WaitingForSource, CollectionState::Paused] {
        assert!(!state.is_over());
    }
}

/// However far a collection is, no document and no page counts that is not done.
#[test]
fn percent_is_never_more_than_the_share_of_the_pages() {
    for done in 0..=10 {
        for parsed in (0..=100 * done).step_by(50) {
            let percent = progress(5.0, [done, 0], [100 * done, 0, parsed, 0]).percent();
            assert!(percent <= 10.0 * done as f64, "{done} pages, {parsed} parsed: {percent}");
        }
    }
}

/// Seconds, of which a tenth of a thousandth may differ.
#[track_caller]
fn assert_eta(progress: &Progress, expected: Option<f64>) {
    let got = progress.eta().map(|eta| eta.as_secs_f64());
    let close = match (got, expected) {
        (Some(got), Some(expected)) => (got - expected).abs() < 1e-4,
        (got, expected) => got == expected,
    };
    assert!(close, "{got:?} instead of {expected:?}: {progress:#?}");
}

#[test]
fn the_time_left_is_that_of_the_backlog_and_of_the_slower_half() {
    for (seconds, pages, documents, eta) in [
        // Fetching decides: 5 pages left at 1 page a second, 500 documents at 100 a second.
        (5.0, [5, 0], [500, 0, 500, 0], Some(5.0)),
        // Parsing decides: 900 documents left at 20 a second.
        (5.0, [5, 0], [500, 0, 100, 0], Some(45.0)),
        (5.0, [10, 0], [1000, 0, 50, 50], Some(45.0)),
        // What comes in the end is parsed behind the last page: 5 pages at 1 a second, and 50 documents at 90
        // a second.
        (5.0, [5, 0], [500, 0, 450, 0], Some(50.0 / 90.0 + 500.0 / 90.0)),
        // What is known needs no parsing.
        (5.0, [10, 0], [0, 1000, 0, 0], Some(0.0)),
        // Half of the items are known, and will be.
        (5.0, [5, 0], [250, 250, 250, 0], Some(5.0)),
        // No speed is above the limit: 5 pages at 30 a second.
        (0.1, [5, 0], [0, 500, 0, 0], Some(5.0 / 30.0)),
        // Nothing is parsed: nothing to judge by.
        (5.0, [5, 0], [500, 0, 0, 0], None),
        // Pages that are given up are not waited for.
        (5.0, [5, 5], [500, 0, 500, 0], Some(0.0)),
    ] {
        assert_eta(&progress(seconds, pages, documents), eta);
    }
}

#[test]
fn pages_that_wait_for_the_parsers_have_no_speed() {
    let mut lagging = progress(50.0, [5, 0], [0, 500, 0, 0]);
    assert_eta(&lagging, Some(50.0));
    lagging.is_lagging = true;
    assert_eta(&lagging, Some(5.0 / 30.0));
}

#[test]
fn a_source_that_is_silent_or_not_called_is_waited_for() {
    let mut silent = progress(5.0, [5, 0], [0, 500, 0, 0]);
    silent.recent_calls.silent_for = Some(Duration::from_secs(40));
    assert_eta(&silent, Some(45.0));
    silent.recent_calls.is_stopped = true;
    assert_eta(&silent, None);
    // Nothing is to be fetched any more.
    silent.counts.done = 10;
    assert_eta(&silent, Some(0.0));
}

#[test]
fn the_limit_is_the_one_in_force() {
    let mut slowed = progress(0.1, [5, 0], [0, 500, 0, 0]);
    slowed.recent_calls.limit_per_second = Some(0.5);
    assert_eta(&slowed, Some(10.0));
}

#[test]
fn a_paused_collection_has_no_estimate_while_pages_are_left() {
    let mut paused = progress(5.0, [5, 0], [500, 0, 500, 0]);
    paused.collection.state = CollectionState::Paused;
    assert_eta(&paused, None);
    paused.counts.done = 10;
    assert_eta(&paused, Some(0.0));
}

#[test]
fn pages_that_wait_are_left_whatever_was_expected() {
    let mut progress = progress(5.0, [10, 0], [0, 500, 0, 0]);
    assert_eq!(progress.pages_left(), Some(0));
    progress.counts.opened = 13;
    assert_eq!(progress.pages_left(), Some(3));
    progress.pages_expected = None;
    assert_eq!(progress.pages_left(), None);
}

#[test]
fn time_that_passes_is_no_difference() {
    let before = progress(5.0, [5, 0], [500, 0, 100, 0]);
    let mut after = before.clone();
    after.seen_at += TimeDelta::seconds(11);
    after.speeds.done_per_second = 0.5;
    after.speeds.settled_per_second = 7.0;
    after.recent_calls.calls = 7;
    after.total_backlog = 1000;
    assert!(!after.differs_from(&before));
    after.is_lagging = true;
    assert!(after.differs_from(&before));
}

#[test]
fn before_the_first_page_there_is_no_estimate() {
    let mut pending = progress(1.0, [0, 0], [0, 0, 0, 0]);
    pending.collection.started_at = None;
    assert_eq!((pending.percent(), pending.eta()), (0.0, None));
}

#[test]
fn elapsed_runs_from_the_trigger_to_the_end() {
    let mut running = progress(5.0, [5, 0], [0, 0, 0, 0]);
    assert_eq!(running.elapsed(), Duration::from_secs(15));
    running.collection.finished_at = Some(running.collection.created_at + TimeDelta::seconds(12));
    assert_eq!(running.elapsed(), Duration::from_secs(12));
}
