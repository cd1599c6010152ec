use std::{sync::Arc, time::Duration};

use anyhow::Result;
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, LocalQueueConfig, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use sqlx::PgPool;
use tokio::sync::oneshot;

use super::{About, NoOp, Peer, Purpose, pool};
use crate::seen;

const SCHEMA: &str = "graphile_worker";

impl TaskHandler for NoOp {
    const IDENTIFIER: &'static str = "no_op";

    async fn run(self, _: WorkerContext) -> impl IntoTaskHandlerResult {
        seen::note(&self);
        Ok::<(), String>(())
    }
}

/// `graphile_worker`, a Rust port of Graphile Worker.
pub(crate) struct GraphileWorker {
    pool: PgPool,
    utils: WorkerUtils,
}

impl Peer for GraphileWorker {
    const ABOUT: About = About {
        version: "graphile_worker 0.14",
        keeps_history: false,
        setup: "as its perf_test: pool of 100, concurrency 500, poll 5 ms, completions batched for 5 ms, local queue of 5,000; \
                for latency as its latency bench: poll 10 ms, local queue of 100, here with concurrency 24; when idle its \
                defaults with concurrency 10 (poll 1 s)",
        unfinished: "select count(*) from graphile_worker._private_jobs",
    };

    async fn connect(url: &str) -> Result<Self> {
        let pool = pool(url, 100).await?;
        let utils = WorkerUtils::new(pool.clone(), SCHEMA);
        Ok(Self { pool, utils })
    }

    async fn create_schema(&self) -> Result<()> {
        Ok(self.utils.migrate().await?)
    }

    async fn enqueue_all(&self, jobs: Vec<NoOp>) -> Result<()> {
        let spec = JobSpec::default();
        let jobs: Vec<(NoOp, &JobSpec)> = jobs.into_iter().map(|job| (job, &spec)).collect();
        self.utils.add_jobs(&jobs).await?;
        Ok(())
    }

    async fn enqueue(&self, job: NoOp) -> Result<()> {
        self.utils.add_job(job, JobSpec::default()).await?;
        Ok(())
    }

    async fn work(&self, purpose: Purpose, stop: oneshot::Receiver<()>) -> Result<()> {
        let options = WorkerOptions::default()
            .pg_pool(self.pool.clone())
            .schema(SCHEMA)
            .listen_os_shutdown_signals(false)
            .define_job::<NoOp>();
        let options = match purpose {
            Purpose::Drain => options
                .concurrency(500)
                .poll_interval(Duration::from_millis(5))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(5000)),
            Purpose::Latency => options
                .concurrency(24)
                .poll_interval(Duration::from_millis(10))
                .complete_job_batch_delay(Duration::from_millis(5))
                .local_queue(LocalQueueConfig::default().with_size(100)),
            Purpose::Idle => options.concurrency(10),
        };
        let worker = Arc::new(options.init().await?);
        let running = tokio::spawn({
            let worker = worker.clone();
            async move { worker.run().await }
        });
        let _ = stop.await;
        worker.request_shutdown();
        running.await??;
        Ok(())
    }
}
