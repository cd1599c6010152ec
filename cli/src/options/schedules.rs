use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::ServiceOptions;

#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// Lists the schedules.
    List(ListSchedulesOptions),
    /// Shows all of a schedule, with its next ticks.
    Show(ScheduleOptions),
    /// Creates a schedule, or changes the one of this name: `put nightly --cron '0 2 * * *' --time-zone
    /// Europe/Berlin`.
    Put(Box<PutScheduleOptions>),
    /// Lets a schedule fire again.
    Enable(ScheduleOptions),
    /// Keeps a schedule from firing.
    Disable(ScheduleOptions),
    /// Enqueues a job of a schedule now, also of one that is disabled.
    Run(ScheduleOptions),
    /// Deletes a schedule; its jobs are left alone.
    Delete(ScheduleOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListSchedulesOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the schedule.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
#[group(id = "timing", required = true, multiple = false, args = ["cron", "at"])]
pub(crate) struct PutScheduleOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the schedule.
    pub(crate) name: String,
    /// When: minute, hour, day of month, month and day of week, or such as `@daily`.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) cron: Option<String>,
    /// In which time zone the expression is read, such as `Europe/Berlin` [default: UTC].
    #[arg(long, value_name = "ZONE", conflicts_with = "at")]
    pub(crate) time_zone: Option<String>,
    /// Once, at this moment: `2026-12-24T18:00:00Z`. One that has passed is a missed tick.
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// The kind of its jobs.
    #[arg(long, default_value = "start_collection", value_name = "NAME")]
    pub(crate) kind: String,
    /// What its jobs are to be done with: `{"source": "test-data", "count": 200}`.
    #[arg(long, default_value = "{}", value_name = "JSON", value_parser = object)]
    pub(crate) args: Value,
    /// By how many minutes the turn of its jobs comes earlier [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: Option<i64>,
    /// How often each of its jobs is tried [default: as its kind has it].
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u64>,
    /// What becomes of ticks that nobody fired in time: `skip`, `once` or `all` [default: once].
    #[arg(long, value_name = "POLICY")]
    pub(crate) missed: Option<String>,
    /// The most that a job is put off after its tick, such as `10m`: what is scheduled for the same minute
    /// spreads out [default: 0s].
    #[arg(long, value_name = "TIME")]
    pub(crate) jitter: Option<String>,
    /// Keeps it from firing, until `schedules enable` [default: as it was].
    #[arg(long)]
    pub(crate) disabled: bool,
}

/// An object, so that what the shell has made of the quotes is told here.
fn object(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str::<Map<String, Value>>(text).map(Value::Object)
}
