//! The diagram in `docs/job-lifecycle.md` draws the moves that happen: all of them, and no other.

use std::collections::BTreeSet;

use resume_queue::JobState;

use super::{
    Operation, audit,
    audit::Move,
    state::{End, Kind, New},
    world::World,
};

static PAGE: &str = include_str!("../../../../docs/job-lifecycle.md");

/// The arrows of the diagram.
fn arrows() -> BTreeSet<Move> {
    let (_, diagram) = PAGE.split_once("```mermaid\nstateDiagram-v2\n").unwrap();
    let (diagram, _) = diagram.split_once("```").unwrap();
    let arrow = |line: &str| {
        let (from, to) = line.split_once("-->")?;
        let to = to.split(':').next().unwrap_or_default();
        Some((from.trim().to_owned(), to.trim().to_owned()))
    };
    diagram.lines().filter_map(arrow).collect()
}

/// The arrows between states; those to the end are not moves, but say which states are final.
fn drawn() -> BTreeSet<Move> {
    arrows().into_iter().filter(|(_, to)| to != "[*]").collect()
}

/// Asserts that the diagram draws all of these moves.
pub(super) fn assert_drawn(moves: &BTreeSet<Move>) {
    let drawn = drawn();
    let missing: Vec<&Move> = moves.difference(&drawn).collect();
    assert!(missing.is_empty(), "docs/job-lifecycle.md does not draw {missing:?}");
}

#[test]
fn the_final_states_are_drawn_as_such() {
    let drawn: BTreeSet<String> =
        arrows().into_iter().filter(|(_, to)| to == "[*]").map(|(from, _)| from).collect();
    let finals = JobState::ALL.into_iter().filter(|state| state.is_final());
    assert_eq!(drawn, finals.map(|state| state.to_string()).collect());
}

/// Every arrow, each by the shortest way to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_move_that_is_drawn_happens() {
    let now = || Operation::Enqueue(New { kind: Kind::Work, delayed: false, priority: 0, key: None });
    let later = || Operation::Enqueue(New { kind: Kind::Work, delayed: true, priority: 0, key: None });
    let cancel = |n| Operation::EndByRequest(n, JobState::Cancelled);
    let discard = |n| Operation::EndByRequest(n, JobState::Discarded);
    let end = |end| Operation::End(0, end);
    let retry = Operation::Retry;
    // Jobs are numbered as they are enqueued; the attempts that end are those of the oldest job that runs.
    let waiting = [now(), cancel(0), retry(0), discard(0), retry(0)];
    let scheduled = [later(), cancel(1), retry(1), later(), discard(2), later(), retry(3)];
    let ended = [Operation::Start, end(End::Ok), end(End::Snooze), end(End::Fail)];
    // The claim that takes the jobs 1 and 3 makes them available first.
    let due = [Operation::MakeDue(0), Operation::MakeDue(0)];
    let retryable = [end(End::Fail), end(End::Fail), cancel(1), discard(3)];
    // The third attempt of job 3 is its last one.
    let last = [retry(3), end(End::Fail)];
    let again = [now(), end(End::Fail), retry(4), cancel(4), retry(4), Operation::Shutdown];

    let mut world = World::new().await;
    let steps = [&waiting[..], &scheduled, &ended, &due, &retryable, &last, &again];
    for operation in steps.into_iter().flatten() {
        world.step(operation).await;
    }
    assert_eq!(audit::moves(world.pool()).await, drawn());
    world.stop().await;
}
