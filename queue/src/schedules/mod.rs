//! Jobs by the clock: by a cron expression in a time zone, or once.
//!
//! | file | what it does |
//! | --- | --- |
//! | `ticks.rs` | [`Timing`]: when; from its text to the moments, without a database |
//! | `expression.rs` | reads a cron expression |
//! | `search.rs` | finds the tick before or after a moment, in bounded work |
//! | `put.rs` | [`put`]: validates a schedule and stores it |
//! | `control.rs` | [`list`], [`get`], [`enable`], [`disable`], [`delete`], [`run_now`] |
//! | `pull_back.rs` | mends what a clock that was ahead has put off |
//! | `fire.rs` | enqueues the jobs of the ticks that are due; run by the leader |
//!
//! A tick is fired exactly once, however many processes run: the transaction that enqueues its job also moves
//! the schedule on, under the lock of its row. Only the database's clock says what is due.

mod control;
mod expression;
#[cfg(test)]
mod expression_tests;
pub(crate) mod fire;
pub(crate) mod pull_back;
mod put;
mod search;
mod ticks;
#[cfg(test)]
mod ticks_tests;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::{EnqueueError, Job, JobId, MAX_NAME_CHARS, NewJob, is_name};

pub use control::{delete, disable, enable, get, list, run_now};
pub use put::put;
pub(crate) use ticks::GRACE_S;
pub use ticks::{TICKS_MAX, Timing};

/// The channel that tells that a schedule may be due sooner than was known.
pub(crate) const CHANNEL: &str = "queue_schedules";

/// The longest jitter of a schedule.
pub const JITTER_MAX: Duration = Duration::from_secs(3600);

/// What becomes of the ticks that nobody fired in time: while no worker lived, or while the schedule was
/// disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "queue.missed_ticks", rename_all = "snake_case")]
pub enum Missed {
    /// They are forgotten. A tick that is less than a minute late is not missed: it is fired.
    Skip,
    /// One job makes up for all of them.
    Once,
    /// A job for each, of the latest 1,000 ([`TICKS_MAX`]); older ones are forgotten.
    All,
}

/// A schedule that is about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSchedule {
    /// Names it; see [`is_name`].
    pub name: String,
    /// When it fires.
    pub timing: Timing,
    /// The kind of its jobs.
    pub kind: String,
    /// The payload of its jobs. Each carries exactly this.
    pub args: Value,
    /// The priority of its jobs.
    pub priority: i16,
    /// How often each of its jobs is tried before it is discarded; at least 1.
    pub max_attempts: u16,
    /// The kind of the follow-up job that is enqueued when one of its jobs is discarded.
    pub on_discard: Option<String>,
    /// What becomes of ticks that nobody fired in time.
    pub missed: Missed,
    /// The most that a job is put off after its tick, at most [`JITTER_MAX`], in whole seconds. How long each
    /// is, its schedule's name and its tick decide: what many schedules ask for at the same minute does not
    /// begin in the same second. Where it is longer than the time between two ticks a job may overtake the
    /// one before it.
    pub jitter: Duration,
}

impl NewSchedule {
    /// A schedule of jobs that carry `payload`, with priority 0 and no jitter, which makes up for missed
    /// ticks once.
    ///
    /// # Errors
    /// [`ScheduleError::Args`] when the payload does not serialize.
    pub fn new<J: Job>(name: impl Into<String>, timing: Timing, payload: &J) -> Result<Self, ScheduleError> {
        let kind = J::KIND.to_owned();
        let args = serde_json::to_value(payload)
            .map_err(|source| EnqueueError::Args { kind: kind.clone(), source })?;
        Ok(Self {
            name: name.into(),
            timing,
            kind,
            args,
            priority: 0,
            max_attempts: J::MAX_ATTEMPTS,
            on_discard: J::ON_DISCARD.map(str::to_owned),
            missed: Missed::Once,
            jitter: Duration::ZERO,
        })
    }
}

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// What was put.
    pub what: NewSchedule,
    /// Whether it fires.
    pub enabled: bool,
    /// Its next tick, by the database's clock. A past one is about to be fired, or was missed while it was
    /// disabled; `None` when there is none any more.
    pub next_at: Option<DateTime<Utc>>,
    /// The tick that was fired last, or when it was last run by hand.
    pub last_at: Option<DateTime<Utc>>,
    /// The job that was enqueued last.
    pub last_job_id: Option<JobId>,
    /// Why the queue has disabled it, such as a cron expression that was changed by hand.
    pub last_error: Option<String>,
    /// When it was put for the first time.
    pub created_at: DateTime<Utc>,
    /// When somebody last changed it.
    pub updated_at: DateTime<Utc>,
    /// When this was read, by the database's clock.
    pub read_at: DateTime<Utc>,
}

impl Schedule {
    /// A preview: its next `n` ticks from the moment it was read, at most [`TICKS_MAX`]. Asks no database.
    ///
    /// # Errors
    /// As [`Timing::ticks_after`], for one that was changed by hand.
    pub fn next_ticks(&self, n: usize) -> Result<Vec<DateTime<Utc>>, ScheduleError> {
        self.what.timing.ticks_after(self.read_at, n)
    }
}

/// Why a schedule was not stored. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// A field is not as it has to be.
    #[error("{field} {value:?} of the schedule {why}")]
    Field {
        /// The field of [`NewSchedule`] or [`Timing`].
        field: &'static str,
        /// What it was.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The cron expression cannot be read, or never comes.
    #[error("the cron expression {expression:?}: {field}, at character {position}: {why}")]
    Cron {
        /// The expression.
        expression: String,
        /// The field of the expression.
        field: &'static str,
        /// Where that field begins, counted in characters from 1.
        position: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The payload cannot be that of a job.
    #[error(transparent)]
    Args(#[from] EnqueueError),
    /// The database refused.
    #[error("storing the schedule failed")]
    Database(#[from] sqlx::Error),
}

/// Any JSON as a payload, to have it checked as one.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
struct AnyArgs(Value);

impl Job for AnyArgs {
    const KIND: &'static str = "scheduled";
}

/// Checks what the database would refuse, or would store and never run.
fn validate(schedule: &NewSchedule) -> Result<(), ScheduleError> {
    let names = [
        ("name", Some(&schedule.name)),
        ("kind", Some(&schedule.kind)),
        ("on_discard", schedule.on_discard.as_ref()),
    ];
    for (field, value) in names {
        let Some(value) = value else { continue };
        if !is_name(value) {
            let why = format!(
                "must have 1 to {MAX_NAME_CHARS} characters, without NUL, and not dots and slashes alone; it has {}",
                value.chars().count()
            );
            // No more of it than is needed to find it.
            let value = value.chars().take(50).collect();
            return Err(ScheduleError::Field { field, value, why });
        }
    }
    if schedule.max_attempts == 0 {
        let (value, why) = ("0".to_owned(), "must be at least 1".to_owned());
        return Err(ScheduleError::Field { field: "max_attempts", value, why });
    }
    if schedule.jitter > JITTER_MAX || schedule.jitter.subsec_nanos() > 0 {
        let (value, why) =
            (format!("{:?}", schedule.jitter), "must be whole seconds, at most an hour".to_owned());
        return Err(ScheduleError::Field { field: "jitter", value, why });
    }
    NewJob::new(&AnyArgs(schedule.args.clone()))?;
    Ok(())
}
