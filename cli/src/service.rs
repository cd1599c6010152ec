use std::{net::SocketAddr, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use resume_api::{App, AppState, DryCalls};
use resume_connector::{Connector, Timeouts};
use resume_core::db::{self, PgPool, Role};
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    database::Database,
    erasure_key,
    options::{ErasureOptions, WorkOptions},
};

/// What checks definitions over HTTP, with the secrets in this directory; whether in private networks, too.
pub(crate) fn dry_calls(secrets_dir: PathBuf, private_networks: bool) -> Result<DryCalls> {
    Ok(DryCalls::new(Connector::new(Timeouts::default(), secrets_dir)?, private_networks))
}

/// API, worker or both as tasks of this process.
#[derive(Default)]
pub(crate) struct Service {
    api: Option<Part>,
    worker: Option<Part>,
}

/// A running task, and what tells it to stop.
struct Part {
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<()>>,
}

impl Service {
    /// Serves the API, with a mock system if one is given; gives the address.
    pub(crate) async fn start_api(
        &mut self,
        database: &Database,
        bind: SocketAddr,
        mock: Option<App>,
        dry_calls: DryCalls,
        erasure: &ErasureOptions,
    ) -> Result<SocketAddr> {
        let erasure_key = erasure_key::find(erasure, database)?;
        let pool = db::pool(&database.url, Role::Api)?;
        let bound = resume_api::bind(bind).await.with_context(|| {
            format!("cannot serve on {bind}; another address: --bind 127.0.0.1:8001, or RESUME_BIND")
        })?;
        let address = bound.address();
        let dry_calls = Some(Arc::new(dry_calls));
        let state = AppState { pool: pool.clone(), erasure_key, dry_calls };
        let app = resume_api::app(state, mock);
        self.api = Some(Part::start(|stopped| async move {
            let served = bound.serve(app, stopped).await.context("serving the API");
            close(&pool).await;
            served
        }));
        Ok(address)
    }

    /// Serves the figures of a worker that has no API beside it; gives the address.
    pub(crate) async fn start_metrics(
        &mut self,
        database: &Database,
        bind: SocketAddr,
    ) -> Result<SocketAddr> {
        let pool = db::pool(&database.url, Role::Api)?;
        let bound = resume_api::bind(bind).await.with_context(|| {
            format!("cannot serve on {bind}; another address: --metrics-bind 127.0.0.1:9465, or RESUME_METRICS_BIND")
        })?;
        let address = bound.address();
        let app = resume_api::metrics_app(pool);
        self.api = Some(Part::start(|stopped| async move {
            bound.serve(app, stopped).await.context("serving the metrics")
        }));
        Ok(address)
    }

    /// Runs background jobs.
    pub(crate) fn start_worker(&mut self, database: &Database, work: &WorkOptions) -> Result<()> {
        ensure!(
            work.keep_calls.0.is_some() || work.keep_superseded.0.is_none(),
            "documents are kept for as long as the calls that brought them: with `--keep-calls forever` \
             no --keep-superseded can be kept to"
        );
        let pool = db::pool(&database.url, Role::Worker)?;
        let settings = resume_worker::Settings {
            parse_delay: work.parse_delay,
            retention: resume_worker::Retention {
                calls: work.keep_calls.0,
                superseded: work.keep_superseded.0,
            },
            backlog_max: work.max_backlog,
            secrets_dir: work.secrets.secrets_dir.clone(),
            erasure_key: erasure_key::find(&work.erasure, database)?,
            grace: work.grace,
        };
        self.worker = Some(Part::start(|stopped| async move {
            let worked = resume_worker::run(pool.clone(), settings, stopped).await;
            close(&pool).await;
            worked
        }));
        Ok(())
    }

    /// Waits until `until` resolves or a part ends by itself, then stops the parts in good order.
    pub(crate) async fn run_until(mut self, until: impl Future<Output = ()>) -> Result<()> {
        let ended = tokio::select! {
            () = until => Ok(()),
            ended = Part::ended(&mut self.worker) => ended,
            ended = Part::ended(&mut self.api) => ended,
        };
        // The worker first: its jobs may be in the middle of a call to the mock, which the API serves.
        let worker = Part::stop(self.worker).await;
        let api = Part::stop(self.api).await;
        ended.and(worker).and(api)
    }
}

impl Part {
    fn start<F: Future<Output = Result<()>> + Send + 'static>(
        run: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>) -> F,
    ) -> Self {
        let stop = watch::Sender::new(false);
        let mut told = stop.subscribe();
        let stopped = Box::pin(async move {
            // Without a sender nobody waits for the part any more.
            let _ = told.wait_for(|stop| *stop).await;
        });
        Self { stop, task: tokio::spawn(run(stopped)) }
    }

    /// Waits for a part to end by itself, which none should; for ever if there is no such part.
    async fn ended(part: &mut Option<Self>) -> Result<()> {
        let Some(running) = part else { return std::future::pending().await };
        let result = (&mut running.task).await;
        *part = None;
        result??;
        bail!("a part of the service ended by itself")
    }

    async fn stop(part: Option<Self>) -> Result<()> {
        let Some(Self { stop, task }) = part else { return Ok(()) };
        stop.send_replace(true);
        task.await?
    }
}

/// Ends the connections before their server may be stopped: one that is given back after that would complain.
async fn close(pool: &PgPool) {
    // What is not given back by then hangs in a handler.
    let _ = tokio::time::timeout(Duration::from_secs(1), pool.close()).await;
}
