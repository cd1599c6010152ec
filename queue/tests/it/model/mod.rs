//! The state machine of the queue against a plain model of it: random operations are run on both, and after
//! each of them every row must be as the model says.

mod audit;
mod diagram;
mod state;
mod world;

use std::{
    env,
    hash::{BuildHasher, RandomState},
    thread,
};

use proptest::{
    collection::vec,
    option,
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use resume_queue::JobState;

use diagram::assert_drawn;
use state::{End, Kind, New};
use world::World;

/// Cases are mostly waits for the database, so several run side by side.
const LANES: u64 = 4;
const CASES_PER_LANE: u32 = 6;
const OPERATIONS_MAX: usize = 30;

/// Each try at a simpler case waits for its deadline; with this much time for all, somebody still sees the
/// end of it.
const SHRINK_MAX_MS: u32 = 120_000;

/// Set to the seed that a failure printed, to run the same cases again.
const SEED: &str = "QUEUE_TEST_SEED";

/// Something that happens to the queue. A number chooses among the jobs that it can happen to, in the order
/// of their ids; without any, nothing happens.
#[derive(Debug, Clone)]
enum Operation {
    Enqueue(New),
    /// Creates a group with these jobs.
    Group(Vec<New>),
    /// Ends the attempt of a running job.
    End(u8, End),
    /// Asks for the end of a job, in whatever state it is.
    EndByRequest(u8, JobState),
    Retry(u8),
    /// Lets a scheduled or retryable job be due now.
    MakeDue(u8),
    Pause(Kind),
    Unpause(Kind),
    /// At most one job of the kind runs, or as many as there are slots.
    Limit(Kind, bool),
    Start,
    Shutdown,
    /// The worker dies; somebody may ask for the end of one of its jobs before they are rescued.
    Crash(Option<(u8, JobState)>),
}

fn operation() -> impl Strategy<Value = Operation> {
    let kind = || prop_oneof![3 => Just(Kind::Work), 2 => Just(Kind::Watched)];
    let new =
        || {
            let key = option::weighted(0.4, 0..2u8);
            (kind(), prop::bool::weighted(0.2), -2..3i16, key)
                .prop_map(|(kind, delayed, priority, key)| New { kind, delayed, priority, key })
        };
    let end = prop_oneof![
        Just(End::Ok),
        Just(End::CompleteIn),
        Just(End::Fail),
        Just(End::Fail),
        Just(End::Discard),
        Just(End::Snooze),
        Just(End::SnoozeAtOnce),
    ];
    let by_request = || prop_oneof![Just(JobState::Cancelled), Just(JobState::Discarded)];
    prop_oneof![
        9 => new().prop_map(Operation::Enqueue),
        2 => vec(new(), 1..4).prop_map(Operation::Group),
        12 => (any::<u8>(), end).prop_map(|(n, end)| Operation::End(n, end)),
        4 => (any::<u8>(), by_request()).prop_map(|(n, state)| Operation::EndByRequest(n, state)),
        4 => any::<u8>().prop_map(Operation::Retry),
        3 => any::<u8>().prop_map(Operation::MakeDue),
        1 => kind().prop_map(Operation::Pause),
        2 => kind().prop_map(Operation::Unpause),
        1 => (kind(), any::<bool>()).prop_map(|(kind, limited)| Operation::Limit(kind, limited)),
        1 => Just(Operation::Shutdown),
        1 => option::of((any::<u8>(), by_request())).prop_map(Operation::Crash),
        3 => Just(Operation::Start),
    ]
}

/// Whatever happens, in whatever order: every job stands where the model says, with its attempts, failures
/// and claims counted; a key has one live job at most; a group gets its follow-up when all its jobs have
/// ended, once.
#[test]
fn random_operations_agree_with_the_model() {
    let seed = match env::var(SEED) {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => RandomState::new().hash_one(()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    thread::scope(|scope| {
        for lane in 0..LANES {
            let handle = runtime.handle();
            scope.spawn(move || run_lane(handle, seed, lane));
        }
    });
}

fn run_lane(runtime: &tokio::runtime::Handle, seed: u64, lane: u64) {
    let config = Config {
        cases: CASES_PER_LANE,
        failure_persistence: None,
        max_shrink_time: SHRINK_MAX_MS,
        ..Config::default()
    };
    let bytes: Vec<u8> = [seed, lane, 0, 0].iter().flat_map(|n| n.to_le_bytes()).collect();
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let cases = vec(operation(), 1..=OPERATIONS_MAX);
    let failed = runner.run(&cases, |operations| {
        runtime.block_on(run_case(&operations));
        Ok::<(), TestCaseError>(())
    });
    match failed {
        Ok(()) => {}
        Err(TestError::Fail(why, operations)) => {
            let steps: Vec<String> = operations.iter().map(|operation| format!("{operation:?}\n")).collect();
            panic!("{SEED}={seed} (lane {lane}): {why}\nthe simplest case found:\n{}", steps.concat())
        }
        Err(TestError::Abort(why)) => panic!("{SEED}={seed} (lane {lane}): {why}"),
    }
}

async fn run_case(operations: &[Operation]) {
    let mut world = World::new().await;
    world.step(&Operation::Start).await;
    for operation in operations {
        world.step(operation).await;
    }
    assert_drawn(&audit::moves(world.pool()).await);
    world.stop().await;
}
