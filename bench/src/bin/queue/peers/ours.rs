use anyhow::Result;
use apalis::prelude::{BoxDynError, WorkerBuilder};
use resume_core::db;
use resume_queue::{Job, NewJob, QueueConfig, Session, SessionSettings, enqueue, enqueue_all};
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{About, NoOp, Peer, Purpose, pool};
use crate::seen;

impl Job for NoOp {
    const KIND: &'static str = "no_op";
}

/// The queue of this workspace.
#[derive(Debug)]
pub(crate) struct ResumeQueue {
    pool: PgPool,
}

impl Peer for ResumeQueue {
    const ABOUT: About = About {
        version: concat!("resume-queue ", env!("CARGO_PKG_VERSION")),
        keeps_history: true,
        setup: "concurrency 5,000 to drain, 100 for latency, 10 when idle; else the defaults",
        // Jobs of the far future do not count, and a look must not read them.
        unfinished: "select (exists(select from queue.live_jobs where state = 'available')
                          or exists(select from queue.live_jobs where state = 'running'))::integer::bigint",
    };

    async fn connect(url: &str) -> Result<Self> {
        Ok(Self { pool: pool(url, 20).await? })
    }

    async fn create_schema(&self) -> Result<()> {
        Ok(db::migrate(&self.pool).await?)
    }

    async fn enqueue_all(&self, jobs: Vec<NoOp>) -> Result<()> {
        let jobs = jobs.iter().map(NewJob::new).collect::<Result<Vec<_>, _>>()?;
        enqueue_all(&mut *self.pool.acquire().await?, &jobs).await?;
        Ok(())
    }

    async fn enqueue(&self, job: NoOp) -> Result<()> {
        enqueue(&mut *self.pool.acquire().await?, &job).await?;
        Ok(())
    }

    async fn work(&self, purpose: Purpose, stop: oneshot::Receiver<()>) -> Result<()> {
        let concurrency = match purpose {
            Purpose::Drain => 5000,
            Purpose::Latency => 100,
            Purpose::Idle => 10,
        };
        let session = Session::start(self.pool.clone(), SessionSettings::default()).await?;
        let worker = WorkerBuilder::new(NoOp::KIND)
            .backend(session.backend::<NoOp>(QueueConfig::fixed(concurrency)))
            .build(run);
        let worker = tokio::spawn(worker.run());
        let _ = stop.await;
        session.shutdown(std::time::Duration::from_secs(5)).await;
        Ok(worker.await??)
    }
}

async fn run(job: NoOp) -> Result<(), BoxDynError> {
    seen::note(&job);
    Ok(())
}
