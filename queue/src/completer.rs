use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    GroupId, JobId,
    group::finish_groups,
    held::Ended,
    metrics,
    session::Shared,
    settle::{Settlement, settle},
};

/// The most attempts that are settled by one statement: some ten milliseconds of work, beside which the wait
/// for its commit is small. There are as many only where as many have ended since the last one.
const BATCH_MAX: usize = 2000;

/// The longest pause between two tries to reach a database that is away.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(1);

/// Settles what the attempts send, in batches, for as long as the session lives, and does what follows from
/// their end.
///
/// A job stays in `held`, with its lease kept and its slot taken, until the database has taken its
/// settlement; so a database that is away stops the worker from claiming more, and nothing is forgotten.
pub(crate) async fn run(shared: Arc<Shared>, mut ended: mpsc::UnboundedReceiver<Ended>) {
    let mut batch = Vec::new();
    while ended.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let settlements: Vec<Settlement> = batch
            .iter()
            .filter_map(|e| Some(Settlement { id: e.id, fence: e.fence, outcome: e.outcome.clone()? }))
            .collect();
        let settled = insist(&shared, &settlements).await;
        for settlement in settlements.iter().filter(|s| !settled.contains(&s.id)) {
            tracing::warn!(
                job = settlement.id,
                "the job was taken back before this attempt ended; its end is void"
            );
        }
        if let Err(error) = follow_up(&shared, &batch).await {
            tracing::warn!(%error, "finishing groups failed; the leader does it");
        }
        for ended in batch.drain(..) {
            if let Some(ran) = shared.held.release(ended.id, ended.fence) {
                metrics::ended(ended.queue, ended.outcome.as_ref(), ran);
            }
        }
    }
}

/// Finishes groups that have no live job left, and tells other processes that a limited queue has room. Both
/// are made up for within seconds if the process dies before.
async fn follow_up(shared: &Shared, batch: &[Ended]) -> Result<(), sqlx::Error> {
    let groups: BTreeSet<GroupId> = batch.iter().filter_map(|ended| ended.group).collect();
    let limited: BTreeSet<&str> =
        batch.iter().map(|ended| ended.queue).filter(|queue| shared.held.is_limited(queue)).collect();
    if groups.is_empty() && limited.is_empty() {
        return Ok(());
    }
    shared
        .ask(async |conn| {
            if !groups.is_empty() {
                finish_groups(conn, &Vec::from_iter(groups)).await?;
            }
            if !limited.is_empty() {
                let queues: Vec<String> = limited.into_iter().map(str::to_owned).collect();
                sqlx::query!(
                    r#"select pg_notify('queue', q) as "notified!" from unnest($1::text[]) q"#,
                    &queues
                )
                .execute(conn)
                .await?;
            }
            Ok(())
        })
        .await
}

/// Settles a batch however long the database is away. What the database refuses for its content is settled
/// one by one, and what is refused even alone is left to its lease: the rescue will make it an attempt with
/// an error.
async fn insist(shared: &Shared, batch: &[Settlement]) -> HashSet<JobId> {
    if batch.is_empty() {
        return HashSet::new();
    }
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
        match shared.ask(async |conn| settle(conn, batch).await).await {
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
            // Classes of SQLSTATE (PostgreSQL manual, appendix A): 21 cardinality, 22 data, 23 constraint, 42
            // syntax, 54 a limit of the server.
            let class = error.code().map(|code| code.get(..2).unwrap_or_default().to_owned());
            !matches!(class.as_deref(), Some("21" | "22" | "23" | "42" | "54"))
        }
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::TypeNotFound { .. } => false,
        _ => true,
    }
}
