//! What the leader looks after for the whole fleet, beside the queue: what has had its time is deleted.
//! docs/retention.md has all periods and the arithmetic.

use std::time::Duration;

use resume_core::{call_limit, collection, db, document};
use resume_queue::maintenance::{Pass, Service, Services};

use crate::Retention;

/// How often each looks.
const PASS: Duration = Duration::from_secs(3600);

/// It looks at all superseded documents, of which few are due: once a day.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How soon to try again after a failure.
const RETRY: Duration = Duration::from_secs(60);

/// The longest run: a night's run of a million calls is deleted in a minute.
const RUN_MAX: Duration = Duration::from_secs(1800);

/// The services with these periods.
pub(crate) fn services(keep: &Retention) -> Services {
    let mut services = Services::default().with(CallLedger);
    if let Some(keep) = keep.calls {
        services = services.with(Calls { keep });
    }
    if let Some(keep) = keep.superseded {
        services = services.with(Superseded { keep });
    }
    services
}

/// Creates the partitions of the ledger of calls and drops the old ones.
#[derive(Debug, Clone)]
struct CallLedger;

impl Service for CallLedger {
    const NAME: &'static str = "call_ledger";
    const RUN_MAX: Duration = Duration::from_secs(60);
    const RETRY: Duration = RETRY;

    async fn run(&mut self, conn: &mut db::PgConnection) -> Result<Pass, db::Error> {
        let dropped = call_limit::keep_ledger(conn).await?;
        Ok(Pass { affected: u64::from(dropped), next: PASS })
    }
}

/// Deletes the calls of collections that have been over for long.
#[derive(Debug, Clone)]
struct Calls {
    keep: Duration,
}

impl Service for Calls {
    const NAME: &'static str = "calls";
    const RUN_MAX: Duration = RUN_MAX;
    const RETRY: Duration = RETRY;

    async fn run(&mut self, conn: &mut db::PgConnection) -> Result<Pass, db::Error> {
        let affected = collection::delete_calls(conn, self.keep).await?;
        if affected > 0 {
            tracing::info!(calls = affected, "deleted the calls of old collections");
        }
        Ok(Pass { affected, next: PASS })
    }
}

/// Deletes raw documents that were superseded long ago.
#[derive(Debug, Clone)]
struct Superseded {
    keep: Duration,
}

impl Service for Superseded {
    const NAME: &'static str = "superseded_documents";
    const RUN_MAX: Duration = RUN_MAX;
    const RETRY: Duration = RETRY;

    async fn run(&mut self, conn: &mut db::PgConnection) -> Result<Pass, db::Error> {
        let affected = document::delete_superseded(conn, self.keep).await?;
        if affected > 0 {
            tracing::info!(documents = affected, "deleted superseded documents");
        }
        Ok(Pass { affected, next: DAY })
    }
}
