use anyhow::Result;
use serde::Deserialize;
use serde_json::json;

use super::{Client, List, Total};

/// A queue.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Queue {
    pub(crate) name: String,
    pub(crate) paused_at: Option<String>,
    pub(crate) max_running: Option<u32>,
    pub(crate) max_running_per_key: Option<u32>,
    pub(crate) workers: u64,
    pub(crate) slots: u64,
    pub(crate) depths: Option<Depths>,
}

/// How many jobs a queue holds by state, as they were counted last.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Depths {
    pub(crate) available: Total,
    pub(crate) scheduled: Total,
    pub(crate) retryable: Total,
    pub(crate) running: Total,
    pub(crate) oldest_wait_seconds: Option<f64>,
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

/// The workers, and the one that leads.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkerList {
    pub(crate) results: Vec<Worker>,
    pub(crate) leader: Option<Leader>,
}

/// The worker that leads.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Leader {
    pub(crate) worker_id: i64,
    pub(crate) name: String,
}

/// A queue that a worker works on.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WorkerQueue {
    pub(crate) queue: String,
    pub(crate) slots: u32,
    pub(crate) running: u64,
    pub(crate) mean_run_seconds: Option<f64>,
}

impl Client {
    pub(crate) async fn queues(&self) -> Result<Vec<Queue>> {
        let list: List<Queue> = self.send(self.http.get(self.address("queues"))).await?;
        Ok(list.results)
    }

    pub(crate) async fn queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.get(self.named("queues", name, &[])?)).await
    }

    pub(crate) async fn pause_queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.post(self.named("queues", name, &["pause"])?)).await
    }

    pub(crate) async fn unpause_queue(&self, name: &str) -> Result<Queue> {
        self.send(self.http.post(self.named("queues", name, &["unpause"])?)).await
    }

    pub(crate) async fn limit_queue(
        &self,
        name: &str,
        max_running: Option<u32>,
        max_running_per_key: Option<u32>,
    ) -> Result<Queue> {
        let body = json!({ "max_running": max_running, "max_running_per_key": max_running_per_key });
        self.send(self.http.put(self.named("queues", name, &["limits"])?).json(&body)).await
    }

    pub(crate) async fn demand(&self, name: &str, target: &str) -> Result<Demand> {
        let address = self.named("queues", name, &["demand"])?;
        self.send(self.http.get(address).query(&[("target", target)])).await
    }

    pub(crate) async fn workers(&self) -> Result<WorkerList> {
        self.send(self.http.get(self.address("workers"))).await
    }
}
