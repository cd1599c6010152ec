//! What the project itself is put through at every step.
//!
//! | scenario | what it covers |
//! | --- | --- |
//! | [`Outcomes`] | claim, run, complete, fail, snooze, discard, follow-up, enqueue, hand back, sign off |
//! | [`Rescue`] | the jobs of dead workers and of expired leases, heartbeats, scheduled jobs |
//! | [`Control`] | cancel, retry by request, limits, pause and resume, unique keys, groups |
//! | [`Schedules`] | ticks that are due, missed or come soon; schedules that are changed |
//! | [`Collection`] | the whole pipeline: fetch, store, parse, give up, the end of a collection |
//!
//! To cover another feature of the queue: a kind in `kinds.rs`, its handler in `handlers/`, and its jobs in
//! the scenario that it fits. Its statements become points by themselves.

mod collection;
mod control;
mod handlers;
mod kinds;
mod outcomes;
mod queue_worker;
mod rescue;
mod schedules;

use std::{path::Path, process::Command};

use anyhow::{Result, bail};
use tokio::signal::unix::{SignalKind, signal};

pub use collection::Collection;
pub use control::Control;
pub use outcomes::Outcomes;
pub use rescue::Rescue;
pub use schedules::Schedules;

/// The argument that makes the program of this package a worker, before the name of a scenario.
const WORKER: &str = "worker";

/// The worker of a scenario: the program of this package itself.
fn worker(program: &Path, scenario: &str) -> Command {
    let mut command = Command::new(program);
    command.args([WORKER, scenario]).env("RUST_BACKTRACE", "0");
    command
}

/// Is the worker process of a scenario, until `SIGTERM`.
///
/// # Errors
/// When there is no such scenario, or when the worker cannot start.
pub async fn work(scenario: &str) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        terminate.recv().await;
    };
    match scenario {
        outcomes::NAME | rescue::NAME | control::NAME | schedules::NAME => {
            queue_worker::run(scenario, stop).await
        }
        collection::NAME => collection::work(stop).await,
        _ => bail!("there is no scenario {scenario:?}"),
    }
}
