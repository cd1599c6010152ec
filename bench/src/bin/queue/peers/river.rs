use std::{convert::Infallible, time::Duration};

use anyhow::Result;
use riverqueue::{
    Client, InsertOpts, Job, JobArgs, QUEUE_DEFAULT, QueueConfig, WorkContext, WorkOutcome, Workers,
    migrate::PostgresMigrator,
};
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{About, NoOp, Peer, Purpose, pool};
use crate::seen;

impl JobArgs for NoOp {
    const KIND: &'static str = "no_op";
}

/// riverqueue, River's own client for Rust.
#[derive(Debug)]
pub(crate) struct RiverQueue {
    pool: PgPool,
    /// Without workers: it only inserts.
    client: Client,
}

impl Peer for RiverQueue {
    const ABOUT: About = About {
        version: "riverqueue 0.5",
        keeps_history: true,
        setup: "as `riverqueue bench`: pool of 50, 2,000 workers, fetch cooldown 2 ms, poll 20 ms; when idle its defaults \
                (10 workers, cooldown 100 ms, poll 1 s)",
        unfinished: "select count(*) from river_job where finalized_at is null",
    };

    async fn connect(url: &str) -> Result<Self> {
        let pool = pool(url, 50).await?;
        let client = Client::builder(pool.clone()).build()?;
        Ok(Self { pool, client })
    }

    async fn create_schema(&self) -> Result<()> {
        PostgresMigrator::new(self.pool.clone()).migrate_up().await?;
        Ok(())
    }

    async fn enqueue_all(&self, jobs: Vec<NoOp>) -> Result<()> {
        self.client.insert_many(jobs.into_iter().map(|job| (job, InsertOpts::default()))).await?;
        Ok(())
    }

    async fn enqueue(&self, job: NoOp) -> Result<()> {
        self.client.insert(job).await?;
        Ok(())
    }

    async fn work(&self, purpose: Purpose, stop: oneshot::Receiver<()>) -> Result<()> {
        let queue = match purpose {
            Purpose::Drain | Purpose::Latency => QueueConfig::new(2000)
                .with_fetch_cooldown(Duration::from_millis(2))
                .with_fetch_poll_interval(Duration::from_millis(20)),
            Purpose::Idle => QueueConfig::new(10),
        };
        let mut workers = Workers::new();
        workers.add_fn(|_: WorkContext, job: Job<NoOp>| async move {
            seen::note(&job.args);
            Ok::<_, Infallible>(WorkOutcome::Complete)
        })?;
        let client =
            Client::builder(self.pool.clone()).workers(workers).queue(QUEUE_DEFAULT, queue).build()?;
        let mut run = client.start_with_graceful_stop(async {
            let _ = stop.await;
        })?;
        run.wait().await?;
        Ok(())
    }
}
