use std::{num::ParseIntError, str::FromStr};

use clap::{Args, Subcommand};

use super::ServiceOptions;

#[derive(Debug, Subcommand)]
pub(crate) enum QueuesCommand {
    /// Lists the queues: what they hold, who works on them, and what holds them back.
    List(ListQueuesOptions),
    /// Lets no further job of a queue start, on any worker; those that run go on.
    Pause(QueueOptions),
    /// Lets a paused queue go on.
    Unpause(QueueOptions),
    /// Limits how many jobs of a queue run at once, in all workers together.
    Limit(LimitQueueOptions),
    /// Tells how many workers a queue wants.
    Demand(DemandOptions),
}

#[derive(Debug, Args)]
pub(crate) struct ListQueuesOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct QueueOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the queue.
    pub(crate) name: String,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitOption(pub(crate) Option<u32>);

impl FromStr for LimitOption {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(Some).map(Self) }
    }
}

#[derive(Debug, Args)]
#[group(id = "limits", required = true, multiple = true, args = ["max_running", "max_running_per_key"])]
pub(crate) struct LimitQueueOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the queue.
    pub(crate) name: String,
    /// How many jobs in all, or `none` for no limit.
    #[arg(long, value_name = "N")]
    pub(crate) max_running: Option<LimitOption>,
    /// How many jobs with the same concurrency key, or `none` for no limit.
    #[arg(long, value_name = "N")]
    pub(crate) max_running_per_key: Option<LimitOption>,
}

#[derive(Debug, Args)]
pub(crate) struct DemandOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the queue.
    pub(crate) name: String,
    /// Within which time the jobs that wait shall be done: `90s`, `10m`.
    #[arg(long, default_value = "60s", value_name = "TIME")]
    pub(crate) target: String,
}
