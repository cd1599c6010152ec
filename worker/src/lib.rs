//! What each background job does, and the runtime that runs them.
//!
//! | place | what it holds |
//! | --- | --- |
//! | [`run`] | one process as a worker, from start to shutdown |
//! | `registry.rs` | which handler runs which job, and how many at once |
//! | `context.rs` | what the handlers share: pool, HTTP client, permits |
//! | `details.rs` | the documents of single details are parsed together |
//! | `lag.rs` | whether fetching waits for the parsers |
//! | `bases.rs` | which of its addresses a source is called at |
//! | `maintenance.rs` | what the leader deletes when its time is over |
//! | `readers.rs` | how the documents of collections are read |
//! | `tokens.rs` | tokens of sources, shared with the other workers |
//! | `permit/` | leave to call a source, for the callers of this process |
//! | `jobs/` | one file a job |
//!
//! How to add a job: its payload in `core/src/jobs.rs`, its handler in `jobs/`, one line in `registry.rs`.

mod bases;
mod context;
mod details;
mod jobs;
mod lag;
mod maintenance;
mod permit;
mod readers;
mod registry;
mod tokens;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail};
use resume_core::{db::PgPool, erasure};
use resume_queue::{Session, SessionSettings};

use crate::context::Context;

/// How a worker process works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Added to the parsing of every document, to stand in for a slow parser.
    pub parse_delay: Duration,
    /// How many documents of a source may wait to be parsed before no further page is fetched.
    pub backlog_max: u32,
    /// Where the files are whose first lines are secrets of sources.
    pub secrets_dir: PathBuf,
    /// The key with which the ids of erased people are hashed, if there is one.
    pub erasure_key: Option<erasure::Key>,
    /// How long what has been dealt with is kept.
    pub retention: Retention,
    /// How long running jobs may go on after a shutdown was asked for.
    pub grace: Duration,
}

/// How long what has been dealt with is kept; `None`: for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Calls and doubts of a collection, from its end.
    pub calls: Option<Duration>,
    /// Raw documents, from when a later one took their place.
    pub superseded: Option<Duration>,
}

impl Default for Retention {
    fn default() -> Self {
        Self { calls: Some(Duration::from_secs(30 * 24 * 3600)), superseded: None }
    }
}

/// Works until `shutdown` resolves, then lets running jobs finish within the grace time and hands the others
/// back.
///
/// # Errors
/// When the database cannot be reached at the start, or when the work ends by itself, which it should not.
pub async fn run(pool: PgPool, settings: Settings, shutdown: impl Future<Output = ()>) -> Result<()> {
    let of_session = SessionSettings {
        services: maintenance::services(&settings.retention),
        ..SessionSettings::default()
    };
    let name = of_session.name.clone();
    let session =
        Session::start(pool.clone(), of_session).await.context("registering this process as a worker")?;
    let context = Context::new(pool, (session.worker_id(), &name), &settings)?;
    let mut workers = registry::start(&session, &context);
    let ended = tokio::select! {
        () = shutdown => None,
        ended = workers.join_next() => ended,
    };
    session.shutdown(settings.grace).await;
    if let Some(ended) = ended {
        bail!("a worker ended by itself: {ended:?}");
    }
    // They end when the session hands out no more jobs; what is left after that hangs in a handler.
    let all = async { while workers.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(1), all).await.is_err() {
        tracing::warn!("a handler does not stop; leaving it behind");
    }
    Ok(())
}
