use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Total};
use crate::options::JobFilterOptions;

/// A job.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) queue: String,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) end_as: Option<String>,
    pub(crate) args: Value,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) priority: i16,
    pub(crate) created_at: String,
    pub(crate) run_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) worker: Option<String>,
    pub(crate) last_error: Option<String>,
    pub(crate) errors: Vec<FailedAttempt>,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) group_id: Option<i64>,
    pub(crate) traceparent: Option<String>,
}

/// An attempt that failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FailedAttempt {
    pub(crate) attempt: u32,
    pub(crate) at: Option<String>,
    pub(crate) code: String,
    pub(crate) error: String,
}

/// A page of a list of jobs.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobPage {
    pub(crate) results: Vec<Job>,
    pub(crate) next_cursor: Option<String>,
}

/// Something that keeps a job from running.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Obstacle {
    pub(crate) reason: String,
    pub(crate) detail: String,
    pub(crate) until: Option<String>,
}

/// How far a change of many jobs has come.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Changed {
    pub(crate) changed: u64,
    pub(crate) conflicts: u64,
    pub(crate) next_cursor: Option<String>,
}

impl Client {
    pub(crate) async fn jobs(
        &self,
        filter: &JobFilterOptions,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<JobPage> {
        let mut query = filter.to_query();
        query.push(("limit", limit.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.send(self.http.get(self.address("jobs")).query(&query)).await
    }

    pub(crate) async fn job(&self, id: i64) -> Result<Job> {
        self.send(self.http.get(self.address(&format!("jobs/{id}")))).await
    }

    pub(crate) async fn why(&self, id: i64) -> Result<Vec<Obstacle>> {
        #[derive(Deserialize)]
        struct Reply {
            obstacles: Vec<Obstacle>,
        }
        let reply: Reply = self.send(self.http.get(self.address(&format!("jobs/{id}/why")))).await?;
        Ok(reply.obstacles)
    }

    /// Changes one job: `change` is `cancel`, `retry` or `discard`. Gives the job as it is then.
    pub(crate) async fn change_job(&self, change: &str, id: i64) -> Result<Job> {
        self.send(self.http.post(self.address(&format!("jobs/{id}/{change}")))).await
    }

    /// How many jobs a change would change.
    pub(crate) async fn preview(&self, change: &str, body: &Value) -> Result<Total> {
        #[derive(Deserialize)]
        struct Reply {
            matched: Total,
        }
        let mut body = body.clone();
        body["dry_run"] = json!(true);
        let reply: Reply =
            self.send(self.http.post(self.address(&format!("jobs/{change}"))).json(&body)).await?;
        Ok(reply.matched)
    }

    /// Changes some of many jobs; goes on with the `next_cursor` of the reply.
    pub(crate) async fn change_jobs(
        &self,
        change: &str,
        body: &Value,
        cursor: Option<&str>,
    ) -> Result<Changed> {
        let mut body = body.clone();
        if let Some(cursor) = cursor {
            body["cursor"] = json!(cursor);
        }
        self.send(self.http.post(self.address(&format!("jobs/{change}"))).json(&body)).await
    }
}

impl JobFilterOptions {
    fn to_query(&self) -> Vec<(&'static str, String)> {
        let Self { queue, kind, state, error_code, older_than, collection_id, group_id } = self.clone();
        let given = [
            ("queue", queue),
            ("kind", kind),
            ("state", Some(state.join(",")).filter(|_| !state.is_empty())),
            ("error_code", error_code),
            ("older_than", older_than),
            ("collection_id", collection_id),
            ("group_id", group_id.map(|id| id.to_string())),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// Whether it chooses every job.
    pub(crate) fn is_empty(&self) -> bool {
        self.to_query().is_empty()
    }

    /// The body of a change of many jobs: what was given, and nothing else.
    pub(crate) fn to_request(&self) -> Value {
        let mut body: Value =
            self.to_query().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
        if !self.state.is_empty() {
            body["state"] = json!(self.state);
        }
        if let Some(id) = self.group_id {
            body["group_id"] = json!(id);
        }
        body
    }
}
