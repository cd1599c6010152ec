//! Documents that single details bring: a parse job for each would cost more than the parsing. Those that
//! this process has stored within a moment are parsed together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use resume_core::{
    db::{self, PgPool},
    document::{self, Batch},
};
use resume_queue::{EnqueueError, GroupId, hold_group};
use uuid::Uuid;

/// How long the first document waits for others: a fraction of a second until it can be searched, for a tenth
/// of the jobs.
const GATHER: Duration = Duration::from_millis(250);

/// What waits to be parsed together.
#[derive(Debug, Default)]
struct Gathered {
    group: Option<GroupId>,
    batch_size: usize,
    batches: Vec<Batch>,
}

/// Gathers the documents of details. What a killed process had gathered is parsed at the end of the run
/// ([`finish`](resume_core::collection::finish)).
#[derive(Debug, Clone)]
pub(crate) struct Details {
    pool: PgPool,
    gathered: Arc<Mutex<HashMap<Uuid, Gathered>>>,
}

impl Details {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, gathered: Arc::default() }
    }

    /// Lets documents be parsed together with others of their collection that come within a moment. They are
    /// stored and committed.
    pub(crate) fn gather(
        &self,
        collection_id: Uuid,
        group: Option<GroupId>,
        batch_size: usize,
        batches: &[Batch],
    ) {
        if batches.is_empty() {
            return;
        }
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = !gathered.contains_key(&collection_id);
        let waiting = gathered.entry(collection_id).or_default();
        waiting.group = group;
        waiting.batch_size = batch_size.max(1);
        waiting.batches.extend(batches);
        drop(gathered);
        if is_first {
            tokio::spawn(self.clone().parse_soon(collection_id));
        }
    }

    async fn parse_soon(self, collection_id: Uuid) {
        tokio::time::sleep(GATHER).await;
        let gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner).remove(&collection_id);
        let Some(gathered) = gathered else { return };
        if let Err(error) = self.enqueue(collection_id, &gathered).await {
            tracing::warn!(%error, %collection_id, "details are parsed at the end of the run: their job was not enqueued");
        }
    }

    /// Enqueues their jobs, unless all other jobs of the run have ended: then its end has found them.
    async fn enqueue(&self, collection_id: Uuid, gathered: &Gathered) -> Result<(), EnqueueError> {
        let mut tx = db::begin(&self.pool).await?;
        if let Some(group) = gathered.group
            && !hold_group(&mut tx, group).await?
        {
            return Ok(());
        }
        let Gathered { group, batch_size, batches } = gathered;
        document::enqueue_parsing(&mut tx, collection_id, *group, batches, *batch_size).await?;
        Ok(tx.commit().await?)
    }
}
