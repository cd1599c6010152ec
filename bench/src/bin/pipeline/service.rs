use std::{
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use resume_core::db;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::collection::Job;

/// A running service on a database of its own.
pub(crate) struct Service {
    /// The one with the API first.
    children: Vec<Child>,
    http: reqwest::Client,
    base: String,
}

impl Service {
    /// Everything in one process, or with `workers` an API and so many worker processes.
    pub(crate) async fn start(
        binary: &Path,
        database_url: &str,
        workers: usize,
        parse_delay: &str,
    ) -> Result<Self> {
        db::create_if_missing(database_url).await?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let bind = format!("127.0.0.1:{port}");
        let start = |arguments: &[&str]| {
            Command::new(binary)
                .args(arguments)
                .env("DATABASE_URL", database_url)
                .env("RESUME_PARSE_DELAY", parse_delay)
                .env("RUST_LOG", "warn")
                .stdout(Stdio::null())
                .kill_on_drop(true)
                .spawn()
        };
        let first = start(&[if workers == 0 { "up" } else { "api" }, "--bind", &bind])?;
        let mut service = Self {
            children: vec![first],
            http: reqwest::Client::builder().build()?,
            base: format!("http://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while service.http.get(format!("{}/readyz", service.base)).send().await.is_err() {
            ensure!(Instant::now() < deadline, "the service does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..workers {
            service.children.push(start(&["worker"])?);
        }
        service.until_registered(workers).await?;
        Ok(service)
    }

    /// Waits until all workers are there.
    async fn until_registered(&self, workers: usize) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.get("workers").await?["results"].as_array().map_or(0, Vec::len) < workers.max(1) {
            ensure!(Instant::now() < deadline, "the workers do not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The processes, the one with the API first.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.children.iter().filter_map(Child::id).collect()
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let reply = self.http.get(format!("{}/api/v1/{path}", self.base)).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&reply.bytes().await?)?)
    }

    /// Triggers a collection and gives the seconds until its last resume is searchable.
    pub(crate) async fn time(&self, job: Job) -> Result<f64> {
        let body = json!({
            "source": "bench", "count": job.count, "per_page": job.per_page, "batch_size": job.batch_size
        });
        let begun = Instant::now();
        let request = self.http.post(format!("{}/api/v1/data-collection/trigger", self.base)).json(&body);
        let reply: Value = serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?;
        let id = reply["data_request_id"].as_str().context("no id in the reply")?;
        loop {
            let status = self.get(&format!("data-collection/status/{id}")).await?;
            if status["finished_at"].is_string() {
                let seconds = begun.elapsed().as_secs_f64();
                ensure!(status["state"] == "completed", "the collection ended as {}", status["state"]);
                ensure!(status["documents"]["parsed"] == job.count, "not every resume was parsed: {status}");
                return Ok(seconds);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops in good order, so that the next one does not meet its remains.
    pub(crate) async fn stop(mut self) -> Result<()> {
        // Workers before the API.
        for child in self.children.iter_mut().rev() {
            if let Some(pid) = child.id() {
                Command::new("kill").arg(pid.to_string()).status().await?;
            }
            child.wait().await?;
        }
        Ok(())
    }
}
