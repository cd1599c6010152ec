use clap::{Args, Subcommand};

use super::ServiceOptions;

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Lists jobs, the newest first.
    List(ListJobsOptions),
    /// Shows all of a job, with every error that it met.
    Show(JobOptions),
    /// Tells why a job does not run.
    Why(JobOptions),
    /// Ends jobs: those that wait at once, those that run by telling them to stop.
    Cancel(ChangeJobsOptions),
    /// Makes jobs run now: those that wait for their time, and cancelled and discarded ones.
    Retry(ChangeJobsOptions),
    /// Gives jobs up: as `cancel`, but they count as failed.
    Discard(ChangeJobsOptions),
}

/// What jobs are chosen by; of several, all must hold.
#[derive(Debug, Clone, Args)]
pub(crate) struct JobFilterOptions {
    /// Those of this queue.
    #[arg(long, value_name = "NAME")]
    pub(crate) queue: Option<String>,
    /// Those of this kind.
    #[arg(long, value_name = "NAME")]
    pub(crate) kind: Option<String>,
    /// Those in one of these states: `retryable,discarded`.
    #[arg(long, value_delimiter = ',', value_name = "STATE")]
    pub(crate) state: Vec<String>,
    /// Those whose last failed attempt had this code.
    #[arg(long, value_name = "CODE")]
    pub(crate) error_code: Option<String>,
    /// Those enqueued longer ago than this: `90s`, `10m`, `2h`, `3days`.
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,
    /// Those of this collection.
    #[arg(long, value_name = "ID")]
    pub(crate) collection_id: Option<String>,
    /// Those of this group.
    #[arg(long, value_name = "ID")]
    pub(crate) group_id: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListJobsOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    #[command(flatten)]
    pub(crate) filter: JobFilterOptions,
    /// How many jobs to show.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct JobOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the job.
    pub(crate) id: i64,
}

/// The options of [`ChangeJobsOptions`] that choose jobs.
const CHOICES: [&str; 8] =
    ["queue", "kind", "state", "error_code", "older_than", "collection_id", "group_id", "all"];

#[derive(Debug, Args)]
pub(crate) struct ChangeJobsOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The ids of the jobs; or choose them by the options below.
    #[arg(value_name = "ID", conflicts_with_all = CHOICES)]
    pub(crate) ids: Vec<i64>,
    #[command(flatten)]
    pub(crate) filter: JobFilterOptions,
    /// Every job that can be changed.
    #[arg(long, conflicts_with_all = &CHOICES[..7])]
    pub(crate) all: bool,
    /// Changes nothing, and tells which jobs or how many there are.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask before many jobs are changed.
    #[arg(long, short)]
    pub(crate) yes: bool,
}
