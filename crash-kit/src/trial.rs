//! One run of a scenario, with a crash or without.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use resume_postgres::testing::TestDatabase;
use sqlx::PgPool;

use crate::{
    Point, Scenario, Statement,
    ending::{Ending, NOTE_ACCEPTED},
    process::WorkerProcess,
    proxy::Proxy,
    scenario::ALL_IS_DONE,
    sql::{execute, is_true, number, texts},
};

/// How long each half of a run may take: the worker until all is done, and then the helper. They take some
/// seconds; a busy machine is no fault of theirs.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often to look. Most of a run is waiting, and many run at once.
const LOOK: Duration = Duration::from_millis(50);

/// How much of a worker's log is shown with a violation.
const LOG_LINES: usize = 12;

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Trial {
    /// Whether the point was reached.
    pub(crate) struck: bool,
    /// How often the worker sent each statement.
    pub(crate) counts: BTreeMap<Statement, u32>,
    /// What is wrong.
    pub(crate) violations: Vec<String>,
    /// `None` when the end was not reached.
    pub(crate) ending: Option<Ending>,
}

/// Runs a scenario on a database of its own, with a crash at `point`, and compares its end to the undisturbed
/// one.
pub(crate) async fn run<S: Scenario>(
    scenario: &S,
    point: Option<&Point>,
    undisturbed: Option<&Ending>,
) -> Result<Trial> {
    let database = TestDatabase::new(&scenario.migrators()).await?;
    let pool = database.pool();
    let fixture = scenario.prepare(pool).await.context("preparing the scenario")?;
    execute(pool, NOTE_ACCEPTED).await?;

    let proxy = Proxy::start(database.url(), point.cloned()).await?;
    let mut worker = WorkerProcess::start(scenario.worker(), proxy.url(), database.url())?;
    let first = first_half(scenario, pool, &proxy, &mut worker).await?;
    let mut trial =
        Trial { struck: proxy.is_struck(), counts: proxy.counts(), violations: Vec::new(), ending: None };
    if let Some(violation) = first {
        trial.violations.push(describe(pool, violation, &worker).await?);
        return Ok(trial);
    }
    drop((worker, proxy));
    if point.is_some() && !trial.struck {
        return Ok(trial);
    }
    let before = number(pool, "select coalesce(max(id), 0) from queue.workers").await?;
    let mut helper = WorkerProcess::start(scenario.worker(), database.url(), database.url())?;
    if let Some(violation) = second_half(pool, before, &mut helper).await? {
        trial.violations.push(describe(pool, violation, &helper).await?);
        return Ok(trial);
    }
    let ending = Ending::read(pool, scenario.invariants()).await?;
    trial.violations = ending.violations(undisturbed);
    trial.violations.extend(scenario.check(&fixture, pool).await?);
    trial.ending = Some(ending);
    Ok(trial)
}

/// The worker that is watched: until it is killed, or has done its work and left. Gives what is wrong.
async fn first_half<S: Scenario>(
    scenario: &S,
    pool: &PgPool,
    proxy: &Proxy,
    worker: &mut WorkerProcess,
) -> Result<Option<String>> {
    let settled = tokio::select! {
        () = proxy.aborted() => return worker.kill().await.map(|()| None),
        ended = worker.ended() => {
            let status = ended?;
            // A worker that cannot even register does not start.
            let excused = proxy.is_struck();
            return Ok((!excused).then(|| format!("the worker ended by itself: {status}")));
        }
        settled = until(pool, scenario.is_settled()) => settled?,
    };
    if !settled {
        return Ok(Some(format!("the worker has not done its work within {PATIENCE:?}")));
    }
    worker.ask_to_stop()?;
    tokio::select! {
        () = proxy.aborted() => worker.kill().await.map(|()| None),
        left = leave(worker) => left,
    }
}

/// The worker that finishes what is left, and signs off for those that could not.
async fn second_half(pool: &PgPool, before: i64, helper: &mut WorkerProcess) -> Result<Option<String>> {
    let finished = format!(
        "{ALL_IS_DONE} \
         and exists (select from queue.workers where id > {before}) \
         and not exists (select from queue.workers where id <= {before} and stopped_at is null)"
    );
    let finished = tokio::select! {
        ended = helper.ended() => return Ok(Some(format!("the helper ended by itself: {}", ended?))),
        finished = until(pool, &finished) => finished?,
    };
    if !finished {
        return Ok(Some(format!("something still waits {PATIENCE:?} after the crash")));
    }
    helper.ask_to_stop()?;
    leave(helper).await
}

/// Waits for a process that was asked to stop.
async fn leave(worker: &mut WorkerProcess) -> Result<Option<String>> {
    Ok(match tokio::time::timeout(PATIENCE, worker.ended()).await {
        Ok(status) => {
            let status = status?;
            (!status.success()).then(|| format!("the worker did not stop in good order: {status}"))
        }
        Err(_) => Some(format!("the worker has not stopped within {PATIENCE:?}")),
    })
}

/// Waits until a query says yes; false when it does not in time.
async fn until(pool: &PgPool, question: &str) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if is_true(pool, question).await.with_context(|| question.to_owned())? {
            return Ok(true);
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(false)
}

/// A violation with what helps to understand it: live jobs, workers, and the last words of the worker.
async fn describe(pool: &PgPool, violation: String, worker: &WorkerProcess) -> Result<String> {
    let live = "select row_to_json(t)::text from ( \
                    select id, kind, state, attempt, run_at, worker, last_error from jobs where finished_at is null) t";
    let workers = "select row_to_json(t)::text from (select * from queue.workers) t";
    let mut text = violation;
    for row in texts(pool, live).await?.into_iter().chain(texts(pool, workers).await?) {
        text.push_str(&format!("\n    {row}"));
    }
    let log = worker.log();
    let lines: Vec<&str> = log.lines().collect();
    for line in &lines[lines.len().saturating_sub(LOG_LINES)..] {
        text.push_str(&format!("\n    > {line}"));
    }
    Ok(text)
}
