use std::time::Duration;

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use poem_openapi::{
    Object,
    types::{Any, Example},
};
use resume_core::jobs::StartCollection;
use resume_queue::{
    Job, JobId,
    schedules::{self, Timing},
};
use serde_json::{Value, json};

use super::Missed;
use crate::span::Span;

/// How many ticks are shown ahead.
const TICKS_SHOWN: usize = 5;

/// All schedules.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::schedules) struct ScheduleList {
    /// The schedules, by name.
    results: Vec<Schedule>,
}

/// What makes jobs by the clock.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::schedules) struct Schedule {
    /// Its name.
    name: String,
    /// Its cron expression; null when it fires once.
    #[oai(nullable)]
    cron: Option<String>,
    /// The time zone in which the expression is read; null when it fires once.
    #[oai(nullable)]
    time_zone: Option<String>,
    /// The moment at which it fires once; null when it has a cron expression.
    #[oai(nullable)]
    at: Option<DateTime<Utc>>,
    /// The kind of its jobs.
    kind: String,
    /// What its jobs are to be done with.
    args: Any<Value>,
    /// By how many minutes the turn of its jobs comes earlier.
    priority: i16,
    /// How often each of its jobs is tried before it is discarded.
    max_attempts: u16,
    /// What becomes of ticks that nobody fired in time.
    missed: Missed,
    /// The most that a job is put off after its tick.
    jitter: Span,
    /// Whether it fires.
    enabled: bool,
    /// Its next tick. A past one is about to be fired, or was missed while it was disabled; null when there
    /// is none any more.
    #[oai(nullable)]
    next_at: Option<DateTime<Utc>>,
    /// Its next ticks from now, at most five, as long as it is enabled.
    next_ticks: Vec<DateTime<Utc>>,
    /// The tick that was fired last, or when it was last run by hand; null before the first.
    #[oai(nullable)]
    last_at: Option<DateTime<Utc>>,
    /// The job that was enqueued last.
    #[oai(nullable)]
    last_job_id: Option<JobId>,
    /// Why the queue has disabled it.
    #[oai(nullable)]
    last_error: Option<String>,
    /// When it was created.
    created_at: DateTime<Utc>,
    /// When somebody last changed it.
    updated_at: DateTime<Utc>,
}

impl From<schedules::Schedule> for Schedule {
    fn from(schedule: schedules::Schedule) -> Self {
        // One that cannot be read any more was changed by hand; the queue disables it and says why.
        let next_ticks = schedule.next_ticks(TICKS_SHOWN).unwrap_or_default();
        let what = schedule.what;
        let (cron, time_zone, at) = match what.timing {
            Timing::Cron { expression, time_zone } => (Some(expression), Some(time_zone), None),
            Timing::Once(at) => (None, None, Some(at)),
        };
        Self {
            name: what.name,
            cron,
            time_zone,
            at,
            kind: what.kind,
            args: Any(what.args),
            priority: what.priority,
            max_attempts: what.max_attempts,
            missed: what.missed.into(),
            jitter: Span(what.jitter),
            enabled: schedule.enabled,
            next_at: schedule.next_at,
            next_ticks,
            last_at: schedule.last_at,
            last_job_id: schedule.last_job_id,
            last_error: schedule.last_error,
            created_at: schedule.created_at,
            updated_at: schedule.updated_at,
        }
    }
}

impl From<Vec<schedules::Schedule>> for ScheduleList {
    fn from(schedules: Vec<schedules::Schedule>) -> Self {
        Self { results: schedules.into_iter().map(Into::into).collect() }
    }
}

/// A schedule that was run by hand.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::schedules) struct ScheduleRun {
    /// The job that was enqueued.
    job_id: JobId,
}

impl ScheduleRun {
    pub(in crate::schedules) fn new(job_id: JobId) -> Self {
        Self { job_id }
    }

    /// Where to look at the job.
    pub(in crate::schedules) fn location(&self) -> String {
        format!("/api/v1/jobs/{}", self.job_id)
    }
}

impl Example for Schedule {
    fn example() -> Self {
        let next_at = Utc.timestamp_nanos(1_795_482_000_000_000_000);
        let created_at = Utc.timestamp_nanos(1_795_446_000_000_000_000);
        let args = json!({
            "source": "test-data", "count": 200, "per_page": 20, "batch_size": 10, "error_mode": false,
        });
        Self {
            name: "nightly".to_owned(),
            cron: Some("0 2 * * *".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
            at: None,
            kind: StartCollection::KIND.to_owned(),
            args: Any(args),
            priority: 0,
            max_attempts: StartCollection::MAX_ATTEMPTS,
            missed: Missed::Once,
            jitter: Span(Duration::from_secs(600)),
            enabled: true,
            next_at: Some(next_at),
            next_ticks: (0..5).map(|days| next_at + TimeDelta::days(days)).collect(),
            last_at: None,
            last_job_id: None,
            last_error: None,
            created_at,
            updated_at: created_at,
        }
    }
}

impl Example for ScheduleList {
    fn example() -> Self {
        Self { results: vec![Schedule::example()] }
    }
}

impl Example for ScheduleRun {
    fn example() -> Self {
        Self::new(4711)
    }
}
