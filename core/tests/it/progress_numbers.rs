//! Percent and time left, computed from the counts of a collection.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use resume_core::{
    call_limit::RecentCalls,
    collection::{Collection, CollectionState, Course, Mark, Progress},
};
use uuid::Uuid;

/// A collection of 1,000 items on ten pages, at 30 calls a second: triggered at 0 s, its first page stored at 10 s, looked
/// at `seconds` later, since when all has come at an even speed, to this moment.
fn progress(seconds: f64, pages: [i64; 2], documents: [i64; 4]) -> Progress {
    let created_at = DateTime::<Utc>::UNIX_EPOCH;
    let started_at = created_at + TimeDelta::seconds(10);
    let [pages_fetched, pages_failed] = pages;
    let [stored, unchanged, parsed, failed] = documents;
    let seen_at = started_at + TimeDelta::microseconds((seconds * 1e6) as i64);
    let course = |begun_with, count| Course {
        first: Some(Mark { at: started_at, count: begun_with }),
        last: (count > 0).then_some(Mark { at: seen_at, count }),
        ..Course::default()
    };
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
        pages_pending: 0,
        feed_fetched: 0,
        feed_pending: 0,
        pages: course(0, pages_fetched),
        stored,
        unchanged,
        parsed,
        failed,
        backlog: (stored - parsed - failed).max(0),
        total_backlog: 0,
        is_lagging: false,
        parsing: course(0, parsed + failed),
        calls: pages_fetched,
        rate_limited: 0,
        calls_per_second: 30.0,
        recent_calls: RecentCalls::default(),
        errors: Vec::new(),
        waits_for: None,
        is_complete: None,
        seen_at,
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

/// A call for each item, a hundred of them named by one page of a list: what is left brings one item each, and not a hundred.
#[test]
fn calls_for_one_item_count_as_one() {
    let mut details = progress(5.0, [51, 0], [50, 0, 50, 0]);
    (details.collection.count, details.pages_expected) = (1_000_000, Some(101));
    let percent = details.percent();
    assert!((percent - 50.0).abs() < 1.0, "{percent}");
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

fn mark(progress: &Progress, seconds_ago: i64, count: i64) -> Option<Mark> {
    Some(Mark { at: progress.seen_at - TimeDelta::seconds(seconds_ago), count })
}

#[test]
fn the_time_left_is_that_of_the_backlog_and_of_the_slower_half() {
    for (seconds, pages, documents, eta) in [
        // Fetching decides: 5 pages left at 1 page a second, 500 documents at 100 a second.
        (5.0, [5, 0], [500, 0, 500, 0], Some(5.0)),
        // Parsing decides: 900 documents left at 20 a second.
        (5.0, [5, 0], [500, 0, 100, 0], Some(45.0)),
        (5.0, [10, 0], [1000, 0, 50, 50], Some(45.0)),
        // What comes in the end is parsed behind the last page: 5 pages at 1 a second, and 50 documents at 90 a second.
        (5.0, [5, 0], [500, 0, 450, 0], Some(50.0 / 90.0 + 500.0 / 90.0)),
        // What is known needs no parsing.
        (5.0, [10, 0], [0, 1000, 0, 0], Some(0.0)),
        // Half of the items are known, and will be.
        (5.0, [5, 0], [250, 250, 250, 0], Some(5.0)),
        // From one page no speed is known: 9 pages at 30 a second.
        (0.1, [1, 0], [0, 100, 0, 0], Some(0.3)),
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
fn the_speed_is_that_of_the_last_ten_seconds() {
    // 500 documents in a slow first minute, and 400 in the eight seconds between the latest burst and the first of late.
    let mut slow_start = progress(70.0, [10, 0], [1000, 0, 900, 0]);
    slow_start.parsing.earlier = mark(&slow_start, 10, 500);
    slow_start.parsing.last = mark(&slow_start, 2, 900);
    // 100 documents at 50 a second, of which half at most may be done by now.
    assert_eta(&slow_start, Some(1.0));
    slow_start.parsing.last = mark(&slow_start, 1, 900);
    assert_eta(&slow_start, Some(100.0 / (400.0 / 9.0) - 1.0));
    assert!((slow_start.parsing.recent_per_second(slow_start.seen_at) - 400.0 / 9.0).abs() < 1e-9);
}

#[test]
fn the_middle_of_a_burst_is_no_slowdown() {
    // 320 documents every two seconds; the last burst has just begun.
    let mut bursts = progress(6.0, [10, 0], [1000, 0, 650, 0]);
    bursts.parsing.before = mark(&bursts, 2, 640);
    assert_eq!(bursts.parsing.per_second(bursts.seen_at), Some(160.0));
    // 350 documents are left, of which half at most are due.
    assert_eta(&bursts, Some(175.0 / 160.0));
    // It is nearly over.
    bursts.parsed = 950;
    bursts.backlog = 50;
    bursts.parsing.last = mark(&bursts, 0, 950);
    assert_eta(&bursts, Some(40.0 / 160.0));
}

#[test]
fn where_one_cut_goes_through_a_burst_the_other_counts_as_well() {
    // 100 documents every two seconds; of the burst four seconds ago, ten had come by then.
    let mut bursts = progress(8.0, [10, 0], [1000, 0, 400, 0]);
    bursts.parsing.earliest = mark(&bursts, 6, 100);
    bursts.parsing.earlier = mark(&bursts, 4, 110);
    let (clean, cut) = (300.0 / 6.0, 290.0 / 4.0);
    assert_eq!(bursts.parsing.per_second(bursts.seen_at), Some((clean + cut) / 2.0));
}

#[test]
fn pages_that_wait_for_the_parsers_have_no_speed() {
    let mut lagging = progress(5.0, [5, 0], [500, 0, 100, 0]);
    lagging.pages.last = mark(&lagging, 4, 5);
    lagging.is_lagging = true;
    assert_eta(&lagging, Some(45.0));
    // By the limit, since nothing has to be parsed.
    lagging.stored = 0;
    (lagging.unchanged, lagging.parsed, lagging.backlog) = (500, 0, 0);
    lagging.pages.last = mark(&lagging, 0, 5);
    assert_eta(&lagging, Some(5.0 / 30.0));
}

#[test]
fn a_gap_says_nothing_of_the_speed() {
    // It was paused for an hour: 100 documents in the last half a minute at most.
    let mut resumed = progress(3700.0, [10, 0], [1000, 0, 600, 0]);
    resumed.parsing.earlier = mark(&resumed, 3600, 500);
    assert_eta(&resumed, Some(400.0 / (100.0 / 30.0)));
}

#[test]
fn a_standstill_has_no_estimate() {
    let mut still = progress(100.0, [5, 0], [500, 0, 400, 0]);
    still.parsing.last = mark(&still, 29, 400);
    assert!(still.eta().is_some());
    assert_eq!(still.parsing.recent_per_second(still.seen_at), 0.0);
    still.parsing.last = mark(&still, 30, 400);
    assert_eta(&still, None);
}

#[test]
fn a_source_that_is_silent_or_not_called_is_waited_for() {
    let mut silent = progress(5.0, [5, 0], [0, 500, 0, 0]);
    silent.recent_calls.silent_for = Some(Duration::from_secs(40));
    assert_eta(&silent, Some(45.0));
    silent.recent_calls.is_stopped = true;
    assert_eta(&silent, None);
    // Nothing is to be fetched any more.
    silent.pages_fetched = 10;
    assert_eta(&silent, Some(0.0));
}

#[test]
fn the_limit_is_the_one_in_force() {
    let mut slowed = progress(0.1, [5, 0], [0, 500, 0, 0]);
    slowed.recent_calls.limit_per_second = Some(0.5);
    assert_eta(&slowed, Some(10.0));
}

#[test]
fn a_page_that_is_late_is_still_to_come() {
    // One page a second. The next one is due after a second, and no other.
    let mut late = progress(5.0, [5, 0], [0, 500, 0, 0]);
    late.pages.last = Some(Mark { at: late.seen_at, count: 5 });
    for (seconds, eta) in [(0, 5.0), (1, 4.0), (3, 4.0)] {
        late.seen_at = late.pages.last.unwrap().at + TimeDelta::seconds(seconds);
        assert_eta(&late, Some(eta));
    }
}

#[test]
fn a_paused_collection_has_no_estimate_while_pages_are_left() {
    let mut paused = progress(5.0, [5, 0], [500, 0, 500, 0]);
    paused.collection.state = CollectionState::Paused;
    assert_eta(&paused, None);
    paused.pages_fetched = 10;
    assert_eta(&paused, Some(0.0));
}

#[test]
fn pages_that_wait_are_left_whatever_was_expected() {
    let mut progress = progress(5.0, [10, 0], [0, 500, 0, 0]);
    assert_eq!(progress.pages_left(), Some(0));
    progress.pages_pending = 3;
    assert_eq!(progress.pages_left(), Some(3));
    progress.pages_expected = None;
    assert_eq!(progress.pages_left(), None);
}

#[test]
fn time_that_passes_is_no_difference() {
    let before = progress(5.0, [5, 0], [500, 0, 100, 0]);
    let mut after = before.clone();
    after.seen_at += TimeDelta::seconds(11);
    after.pages.earlier = before.pages.last;
    after.parsing.earlier = before.parsing.last;
    after.recent_calls.calls = 7;
    after.total_backlog = 1000;
    assert!(!after.differs_from(&before));
    after.is_lagging = true;
    assert!(after.differs_from(&before));
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
