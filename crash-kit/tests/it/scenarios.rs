//! Every 41st point of each scenario; `cargo run -p resume-crash-kit -- all` runs them all.
//!
//! A statement has 6, 10, 14 or 18 points, so that 41 takes all of their kinds in turn.

use resume_crash_kit::{
    CrashKit, Report, Scenario,
    scenarios::{Collection, Control, Outcomes, Rescue, Schedules},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_resume-crash-kit");
const EVERY: usize = 41;

/// At once in each of the tests here, which run at the same time.
const SIDE_BY_SIDE: usize = 4;

async fn run(scenario: impl Scenario) -> Report {
    let kit = CrashKit::new(scenario).every(EVERY).side_by_side(SIDE_BY_SIDE);
    let report = kit.run(|scenario, point, verdict, took| {
        eprintln!("{}", Report::line(scenario, point, verdict, took));
    });
    let report = report.await.unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    eprintln!("{report}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_any_outcome_of_a_job_changes_nothing() {
    assert!(run(Outcomes::new(PROGRAM)).await.points() * EVERY >= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_rescue_changes_nothing() {
    assert!(run(Rescue::new(PROGRAM)).await.points() * EVERY >= 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_what_people_ask_of_jobs_changes_nothing() {
    assert!(run(Control::new(PROGRAM)).await.points() * EVERY >= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_schedule_changes_nothing() {
    assert!(run(Schedules::new(PROGRAM)).await.points() * EVERY >= 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_in_a_collection_changes_nothing() {
    assert!(run(Collection::new(PROGRAM)).await.points() * EVERY >= 200);
}
