use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use crate::{
    JobId,
    session::Shared,
    settle::{Settlement, settle},
};

/// The most attempts that are settled by one statement: enough to make the commit cheap for each of them, few enough
/// to keep the statement under some ten milliseconds.
const BATCH_MAX: usize = 500;

/// The longest pause between two tries to reach a database that is away.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// Settles what the attempts send, in batches, for as long as the session lives.
///
/// A job stays in `held`, with its lease kept and its slot taken, until the database has taken its settlement; so a
/// database that is away stops the worker from claiming more, and nothing is forgotten.
pub(crate) async fn run(shared: Arc<Shared>, mut settlements: mpsc::UnboundedReceiver<Settlement>) {
    let mut batch = Vec::new();
    while settlements.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let settled = insist(&shared, &batch).await;
        for settlement in batch.drain(..) {
            shared.held.release(settlement.id, settlement.fence);
            if !settled.contains(&settlement.id) {
                tracing::warn!(
                    job = settlement.id,
                    "the job was taken back before this attempt ended; its end is void"
                );
            }
        }
    }
}

/// Settles a batch however long the database is away. What the database refuses for its content is settled one by one,
/// and what is refused even alone is left to its lease: the rescue will make it an attempt with an error.
async fn insist(shared: &Shared, batch: &[Settlement]) -> HashSet<JobId> {
    match settle_when_reachable(shared, batch).await {
        Ok(settled) => settled,
        Err(_) if batch.len() > 1 => {
            let mut settled = HashSet::new();
            for one in batch {
                settled.extend(Box::pin(insist(shared, std::slice::from_ref(one))).await);
            }
            settled
        }
        Err(error) => {
            let job = batch.first().map(|s| s.id);
            tracing::error!(job, %error, "the end of an attempt cannot be stored; its lease will run out");
            HashSet::new()
        }
    }
}

async fn settle_when_reachable(shared: &Shared, batch: &[Settlement]) -> Result<HashSet<JobId>, sqlx::Error> {
    let mut pause = Duration::from_millis(50);
    loop {
        let result = async {
            let mut conn = shared.connection().await?;
            settle(&mut conn, batch).await
        };
        match result.await {
            Err(error) if is_passing(&error) => {
                tracing::warn!(%error, jobs = batch.len(), "settling jobs failed, trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_MAX);
            }
            result => return result,
        }
    }
}

/// Whether the same statement may succeed later: all but complaints about its content.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            // Classes of SQLSTATE (PostgreSQL manual, appendix A): 21 cardinality, 22 data, 23 constraint, 42 syntax,
            // 54 a limit of the server.
            let class = error.code().map(|code| code.get(..2).unwrap_or_default().to_owned());
            !matches!(class.as_deref(), Some("21" | "22" | "23" | "42" | "54"))
        }
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::TypeNotFound { .. } => false,
        _ => true,
    }
}
