//! The systems side by side: ours, and behind the feature `peers` those that a Rust program on Postgres could
//! take instead.
//!
//! Each is set up as its own documentation and benches do for the purpose at hand; its file says where that
//! is written.

#[cfg(feature = "peers")]
mod apalis;
#[cfg(feature = "peers")]
mod graphile;
mod ours;
#[cfg(feature = "peers")]
mod river;

use std::{fmt, future::Future};

use anyhow::Result;
use bench::arguments::write_name;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::sync::oneshot;

#[cfg(feature = "peers")]
pub(crate) use apalis::ApalisPostgres;
#[cfg(feature = "peers")]
pub(crate) use graphile::GraphileWorker;
pub(crate) use ours::ResumeQueue;
#[cfg(feature = "peers")]
pub(crate) use river::RiverQueue;

/// A system to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum System {
    /// The queue of this workspace.
    Ours,
    /// riverqueue 0.5.
    #[cfg(feature = "peers")]
    River,
    /// `graphile_worker` 0.14.
    #[cfg(feature = "peers")]
    Graphile,
    /// apalis-postgres 1.0.
    #[cfg(feature = "peers")]
    Apalis,
}

/// Calls a generic function with the type that stands for a system: `with_peer!(system, drain(url, jobs))`.
macro_rules! with_peer {
    ($system:expr, $function:ident($($argument:expr),*)) => {
        match $system {
            $crate::peers::System::Ours => $function::<$crate::peers::ResumeQueue>($($argument),*).await,
            #[cfg(feature = "peers")]
            $crate::peers::System::River => $function::<$crate::peers::RiverQueue>($($argument),*).await,
            #[cfg(feature = "peers")]
            $crate::peers::System::Graphile => $function::<$crate::peers::GraphileWorker>($($argument),*).await,
            #[cfg(feature = "peers")]
            $crate::peers::System::Apalis => $function::<$crate::peers::ApalisPostgres>($($argument),*).await,
        }
    };
}
pub(crate) use with_peer;

impl System {
    /// What the report says of the system before any figure.
    pub(crate) fn about(self) -> About {
        match self {
            Self::Ours => ResumeQueue::ABOUT,
            #[cfg(feature = "peers")]
            Self::River => RiverQueue::ABOUT,
            #[cfg(feature = "peers")]
            Self::Graphile => GraphileWorker::ABOUT,
            #[cfg(feature = "peers")]
            Self::Apalis => ApalisPostgres::ABOUT,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// What to know of a system to read its figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About {
    /// Name and version.
    pub(crate) version: &'static str,
    /// Whether a job can still be looked at when it has ended. Who deletes it writes less.
    pub(crate) keeps_history: bool,
    /// How it is set up here, and where that comes from.
    pub(crate) setup: &'static str,
    /// A query whose number is zero when all jobs have ended.
    pub(crate) unfinished: &'static str,
}

/// What the worker is set up for. The same in production, but a bench may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// As many jobs a second as possible.
    Drain,
    /// Jobs that start soon.
    Latency,
    /// A worker as the documentation's first example starts it.
    Idle,
}

/// The job of every measurement. It does nothing but to note that it started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NoOp {
    pub(crate) n: u64,
    /// When it was made, just before it was enqueued: microseconds since 1970.
    pub(crate) made_at_us: u64,
}

/// One system, connected to a database.
pub(crate) trait Peer: Sized + Send + Sync + 'static {
    const ABOUT: About;

    /// Connects; the schema need not exist yet.
    fn connect(url: &str) -> impl Future<Output = Result<Self>> + Send;

    /// Makes the tables.
    fn create_schema(&self) -> impl Future<Output = Result<()>> + Send;

    /// Enqueues all of them at once, by the fastest way that the system offers.
    fn enqueue_all(&self, jobs: Vec<NoOp>) -> impl Future<Output = Result<()>> + Send;

    /// Enqueues one job in a transaction of its own.
    fn enqueue(&self, job: NoOp) -> impl Future<Output = Result<()>> + Send;

    /// Works until told to stop, then ends in good order. Each job calls [`crate::seen::note`].
    fn work(&self, purpose: Purpose, stop: oneshot::Receiver<()>) -> impl Future<Output = Result<()>>;
}

/// A pool as all systems get it; it connects once to show that the server is there.
async fn pool(url: &str, connections_max: u32) -> Result<PgPool> {
    Ok(PgPoolOptions::new().max_connections(connections_max).connect(url).await?)
}
