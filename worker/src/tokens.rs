//! The tokens of sources, shared by all workers over Postgres.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use resume_connector::{FleetTokens, Hold, NotShared};
use resume_core::{
    db::{self, PgPool},
    source::tokens::{self, SharedToken},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many connections of the pool may wait for logins at once: a third of them. Where many systems do not
/// answer, the others are for the jobs of those that do.
const HOLDS_MAX: usize = 8;

/// What this process shares with the other workers.
pub(crate) struct SharedTokens {
    pool: PgPool,
    holds: Arc<Semaphore>,
}

/// A transaction that holds the tokens of a source. Dropped, it is rolled back.
struct Held {
    tx: db::Transaction,
    source: String,
    proof: usize,
    _place: OwnedSemaphorePermit,
}

impl SharedTokens {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, holds: Arc::new(Semaphore::new(HOLDS_MAX)) }
    }
}

#[async_trait]
impl FleetTokens for SharedTokens {
    async fn newest(&self, source: &str, proof: usize) -> Result<Option<SharedToken>, NotShared> {
        Ok(tokens::newest(&mut *self.pool.acquire().await?, source, proof).await?)
    }

    async fn hold(
        &self,
        source: &str,
        proof: usize,
    ) -> Result<(Option<SharedToken>, Box<dyn Hold>), NotShared> {
        let place = self.holds.clone().acquire_owned().await?;
        let mut tx = db::begin(&self.pool).await?;
        tokens::hold(&mut tx, source).await?;
        let newest = tokens::newest(&mut tx, source, proof).await?;
        Ok((newest, Box::new(Held { tx, source: source.to_owned(), proof, _place: place })))
    }
}

#[async_trait]
impl Hold for Held {
    async fn replace(mut self: Box<Self>, sealed: &[u8], good_for: Duration) -> Result<(), NotShared> {
        tokens::replace(&mut self.tx, &self.source, self.proof, sealed, good_for).await?;
        Ok(self.tx.commit().await?)
    }
}
