use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::{Client, Total};

/// A queue.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) paused_at: Option<String>,
    pub(crate) max_running: Option<u32>,
    pub(crate) max_running_per_key: Option<u32>,
    pub(crate) workers: u64,
    pub(crate) slots: u64,
}

/// How many workers a queue wants.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Demand {
    pub(crate) waiting: Total,
    pub(crate) running: u64,
    pub(crate) mean_run_seconds: Option<f64>,
    pub(crate) slots_per_worker: f64,
    pub(crate) workers: u64,
    pub(crate) workers_wanted: u64,
}

/// A process that runs jobs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Worker {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) started_at: String,
    pub(crate) heartbeat_at: String,
    pub(crate) stopped_at: Option<String>,
    pub(crate) queues: Vec<WorkerQueue>,
}

/// A queue that a worker works on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkerQueue {
    pub(crate) queue: String,
    pub(crate) slots: u32,
    pub(crate) running: u64,
    pub(crate) mean_run_seconds: Option<f64>,
}

#[derive(Deserialize)]
struct List<T> {
    results: Vec<T>,
}

impl Client {
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        let list: List<Queue> = self.send(self.http.get(self.address("queues"))).await?;
        Ok(list.results)
    }

    pub(crate) async fn queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.get(self.queue_address(name, &[])?)).await
    }

    pub(crate) async fn pause_queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.post(self.queue_address(name, &["pause"])?)).await
    }

    pub(crate) async fn resume_queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.post(self.queue_address(name, &["resume"])?)).await
    }

    pub(crate) async fn limit_queue(
        &self,
        name: &str,
        max_running: Option<u32>,
        max_running_per_key: Option<u32>,
    ) -> Result<Queue> {
        let body = json!({ "max_running": max_running, "max_running_per_key": max_running_per_key });
        self.send(self.http.put(self.queue_address(name, &["limits"])?).json(&body)).await
    }

    pub(crate) async fn demand(&self, name: &str, target: &str) -> Result<Demand> {
        let address = self.queue_address(name, &["demand"])?;
        self.send(self.http.get(address).query(&[("target", target)])).await
    }

    pub(crate) async fn workers(&self) -> Result<Vec<Worker>> {
        let list: List<Worker> = self.send(self.http.get(self.address("workers"))).await?;
        Ok(list.results)
    }

    /// The address of a queue, whatever characters its name has.
    fn queue_address(&self, name: &str, rest: &[&str]) -> Result<reqwest::Url> {
        let mut url: reqwest::Url = self.address("queues").parse().context("reading the service's URL")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(name).extend(rest);
        }
        Ok(url)
    }
}
