use std::net::SocketAddr;

use anyhow::{Context, Result};
use mock_ats::Ats;
use resume_api::AppState;
use resume_core::{
    db::{self, PgPool, Role},
    parsing::Format,
    source::{self, DEFAULT_SOURCE, Paging, Source},
};
use tokio::{sync::watch, task::JoinHandle};

use crate::{database::Database, options::WorkOptions};

/// What the mock allows, and so do its sources.
const MOCK_CALLS_PER_SECOND: u32 = 30;

/// API, worker or both as tasks of this process.
pub(crate) struct Service {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Result<()>>>,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: Vec::new() }
    }

    /// Serves the API, with the mock system if one is given, which then becomes a source; gives the address.
    pub(crate) async fn start_api(
        &mut self,
        database: &Database,
        bind: SocketAddr,
        test_data: Option<Ats>,
    ) -> Result<SocketAddr> {
        let pool = db::pool(&database.url, Role::Api)?;
        let bound = resume_api::bind(bind).await.with_context(|| {
            format!("cannot serve on {bind}; another address: --bind 127.0.0.1:8001, or RESUME_BIND")
        })?;
        let address = bound.address();
        if test_data.is_some() {
            add_mock_sources(&pool, address).await.context("adding the mock system to the sources")?;
        }
        let serving = bound.serve(resume_api::app(AppState { pool, test_data }), self.stopped());
        self.tasks.push(tokio::spawn(async move { serving.await.context("serving the API") }));
        Ok(address)
    }

    /// Runs background jobs.
    pub(crate) fn start_worker(&mut self, database: &Database, work: &WorkOptions) -> Result<()> {
        let pool = db::pool(&database.url, Role::Worker)?;
        let settings = resume_worker::Settings { parse_delay: work.parse_delay, grace: work.grace };
        self.tasks.push(tokio::spawn(resume_worker::run(pool, settings, self.stopped())));
        Ok(())
    }

    /// Waits until `until` resolves or a part ends by itself, then stops all parts in good order.
    pub(crate) async fn run_until(mut self, until: impl Future<Output = ()>) -> Result<()> {
        let ended = tokio::select! {
            () = until => Ok(()),
            ended = first_end(&mut self.tasks) => ended,
        };
        self.stop.send_replace(true);
        for task in self.tasks {
            match task.await {
                Ok(result) => result?,
                // Ended before, and is told of below.
                Err(error) if !error.is_panic() => {}
                Err(error) => return Err(error.into()),
            }
        }
        ended
    }

    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stop = self.stop.subscribe();
        async move {
            // Without a sender nobody waits for the service any more.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }
}

/// Waits for the first part that ends by itself, and takes it out of the list.
async fn first_end(tasks: &mut Vec<JoinHandle<Result<()>>>) -> Result<()> {
    let (ended, index) = std::future::poll_fn(|cx| {
        for (index, task) in tasks.iter_mut().enumerate() {
            if let std::task::Poll::Ready(ended) = std::pin::Pin::new(task).poll(cx) {
                return std::task::Poll::Ready((ended, index));
            }
        }
        std::task::Poll::Pending
    })
    .await;
    drop(tasks.swap_remove(index));
    ended?.and_then(|()| anyhow::bail!("a part of the service ended by itself"))
}

/// The faces of the mock system that this process serves.
async fn add_mock_sources(pool: &PgPool, address: SocketAddr) -> Result<()> {
    // Bound to every interface it is reached on this machine.
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    let base = format!("http://{host}:{}/api/v1", address.port());
    let mut conn = pool.acquire().await?;
    for (name, path, paging, format) in [
        (DEFAULT_SOURCE, "test-data", Paging::Numbered, Format::Profile),
        ("test-data-links", "test-data", Paging::NextLink, Format::Profile),
        ("json-resume", "json-resumes", Paging::Numbered, Format::JsonResume),
    ] {
        let source = Source {
            name: name.to_owned(),
            url: format!("{base}/{path}"),
            paging,
            format,
            calls_per_second: MOCK_CALLS_PER_SECOND,
        };
        source::put(&mut conn, &source).await?;
    }
    Ok(())
}
