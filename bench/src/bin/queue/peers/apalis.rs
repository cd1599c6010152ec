use std::time::Duration;

use anyhow::Result;
use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage, queries::push_tasks};
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{About, NoOp, Peer, Purpose, pool};
use crate::seen;

const QUEUE: &str = "no_op";

/// apalis-postgres as it comes.
#[derive(Debug)]
pub(crate) struct ApalisPostgres {
    pool: PgPool,
}

impl Peer for ApalisPostgres {
    const ABOUT: About = About {
        version: "apalis-postgres 1.0",
        keeps_history: true,
        setup: "as its example `basic` (LISTEN, lock_tasks off, a task a job), with batches and concurrency of 1,000 in place of \
                100, which is several times as fast; batches of 100 for latency, of 10 (its default) when idle",
        unfinished: "select count(*) from apalis.jobs where status not in ('Done', 'Killed')",
    };

    async fn connect(url: &str) -> Result<Self> {
        Ok(Self { pool: pool(url, 20).await? })
    }

    async fn create_schema(&self) -> Result<()> {
        Ok(PostgresStorage::setup(&self.pool).await?)
    }

    async fn enqueue_all(&self, jobs: Vec<NoOp>) -> Result<()> {
        let tasks = jobs.iter().map(task).collect::<Result<Vec<_>>>()?;
        push_tasks(&mut *self.pool.acquire().await?, QUEUE, tasks).await?;
        Ok(())
    }

    async fn enqueue(&self, job: NoOp) -> Result<()> {
        push_tasks(&mut *self.pool.acquire().await?, QUEUE, vec![task(&job)?]).await?;
        Ok(())
    }

    async fn work(&self, purpose: Purpose, stop: oneshot::Receiver<()>) -> Result<()> {
        let batch = match purpose {
            Purpose::Drain => 1000,
            Purpose::Latency => 100,
            Purpose::Idle => 10,
        };
        let config = Config::default()
            .queue(QUEUE)
            .batch_size(batch)
            .lock_tasks(false)
            .heartbeat_interval(Duration::from_secs(1))
            .missed_heartbeats(10);
        let backend = PostgresStorage::<NoOp>::new(&self.pool).with_config(config).with_pubsub();
        let worker = WorkerBuilder::new(format!("no-op-{}", std::process::id()))
            .backend(backend)
            .concurrency(batch)
            .parallelize(tokio::spawn)
            .build(run);
        let stopped = async {
            let _ = stop.await;
            Ok::<(), std::io::Error>(())
        };
        Ok(worker.run_until(stopped).await?)
    }
}

/// What the storage's own sink makes of a payload.
fn task(job: &NoOp) -> Result<Task<Vec<u8>>> {
    Ok(TaskBuilder::new(serde_json::to_vec(job)?).build())
}

async fn run(job: NoOp) -> Result<(), BoxDynError> {
    seen::note(&job);
    Ok(())
}
