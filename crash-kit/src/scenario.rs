use std::{future::Future, process::Command};

use anyhow::Result;
use sqlx::{PgPool, migrate::Migrator};

/// The variable that tells a worker process its database. It leads through the proxy, where statements are
/// counted.
pub const DATABASE_URL: &str = "DATABASE_URL";

/// The variable that tells a worker process the way around the proxy, for notes of a handler that must
/// survive any crash and are no part of what is tested.
pub const DIRECT_URL: &str = "CRASH_KIT_DIRECT_URL";

/// Whether nothing is left to do, now or within a minute.
pub(crate) const ALL_IS_DONE: &str = "select not exists (select from jobs where finished_at is null) \
     and not exists (select from queue.groups where finished_at is null) \
     and not exists (select from queue.schedules where enabled and next_at < now() + interval '1 minute')";

/// Some jobs and the worker that runs them.
///
/// A run in which nothing happens must end in the same way each time, and soon: the scenario is run once for
/// each point. Its jobs need an attempt to spare, for the one that the crash takes.
pub trait Scenario: Send + Sync + 'static {
    /// What one run needs beside its database, for example a server to call. It lives as long as the run.
    type Fixture: Send + Sync;

    /// Names the scenario in listings.
    fn name(&self) -> &str;

    /// What makes the schema, in order. By default that of the project.
    fn migrators(&self) -> Vec<&'static Migrator> {
        resume_core::db::migrators().to_vec()
    }

    /// Fills a new database: creates what tables the handlers need beside the schema, and enqueues the jobs.
    fn prepare(&self, pool: &PgPool) -> impl Future<Output = Result<Self::Fixture>> + Send;

    /// A worker process that finds its database in the variable [`DATABASE_URL`], works until it gets
    /// `SIGTERM`, and then leaves in good order with the status 0.
    fn worker(&self) -> Command;

    /// A query for one boolean: whether all is done that the worker does of itself, so that it may be asked
    /// to stop. By default when no job is live, no group waits for its follow-up, and no schedule is due
    /// within a minute.
    fn is_settled(&self) -> &str {
        ALL_IS_DONE
    }

    /// What must be true at the end, beside what is always checked: every accepted job ended once, as many of
    /// each kind and in the same way as without a crash; attempts that are as many as its failures and its
    /// success; at most one attempt more than without a crash; no job live, no worker that is gone and not
    /// signed off.
    fn invariants(&self) -> Vec<Invariant> {
        Vec::new()
    }

    /// As [`invariants`](Scenario::invariants), for what SQL cannot tell; gives a text for each violation.
    fn check(
        &self,
        _fixture: &Self::Fixture,
        _pool: &PgPool,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }
}

/// Something that must be true when all is done.
#[derive(Debug, Clone)]
pub struct Invariant {
    pub(crate) name: String,
    pub(crate) sql: String,
    pub(crate) holds: Holds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    WithoutRows,
    AsUndisturbed,
}

impl Invariant {
    /// Holds when the query has no rows: each one is a violation.
    pub fn no_rows(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { name: name.into(), sql: sql.into(), holds: Holds::WithoutRows }
    }

    /// No lease ran out: whose process is gone was noticed before, and who lives has kept it. For scenarios
    /// whose leases are much longer than their jobs, as the default of 30 s is.
    pub fn no_lease_ran_out() -> Self {
        Self::no_rows(
            "no job waited for its lease to run out",
            "select id, kind, errors from jobs where errors::text like '%lease expired%'",
        )
    }

    /// Holds when the query has the rows that it has when nothing crashes, in the same order.
    pub fn same_rows(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { name: name.into(), sql: sql.into(), holds: Holds::AsUndisturbed }
    }
}
