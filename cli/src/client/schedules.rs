use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, List};
use crate::options::PutScheduleOptions;

/// What makes jobs by the clock.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) cron: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) at: Option<String>,
    pub(crate) kind: String,
    pub(crate) args: Value,
    pub(crate) priority: i16,
    pub(crate) max_attempts: u32,
    pub(crate) missed: String,
    pub(crate) jitter: String,
    pub(crate) enabled: bool,
    pub(crate) next_at: Option<String>,
    pub(crate) next_ticks: Vec<String>,
    pub(crate) last_at: Option<String>,
    pub(crate) last_job_id: Option<i64>,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl Client {
    pub(crate) async fn schedules(&self) -> Result<Vec<Schedule>> {
        let list: List<Schedule> = self.send(self.http.get(self.address("schedules"))).await?;
        Ok(list.results)
    }

    pub(crate) async fn schedule(&self, name: &str) -> Result<Schedule> {
        self.send(self.http.get(self.named("schedules", name, &[])?)).await
    }

    pub(crate) async fn put_schedule(&self, name: &str, body: &Value) -> Result<Schedule> {
        self.send(self.http.put(self.named("schedules", name, &[])?).json(body)).await
    }

    pub(crate) async fn enable_schedule(&self, name: &str) -> Result<Schedule> {
        self.send(self.http.post(self.named("schedules", name, &["enable"])?)).await
    }

    pub(crate) async fn disable_schedule(&self, name: &str) -> Result<Schedule> {
        self.send(self.http.post(self.named("schedules", name, &["disable"])?)).await
    }

    pub(crate) async fn delete_schedule(&self, name: &str) -> Result<Schedule> {
        self.send(self.http.delete(self.named("schedules", name, &[])?)).await
    }

    /// Gives the id of the job.
    pub(crate) async fn run_schedule(&self, name: &str) -> Result<i64> {
        #[derive(Deserialize)]
        struct Reply {
            job_id: i64,
        }
        let reply: Reply = self.send(self.http.post(self.named("schedules", name, &["run"])?)).await?;
        Ok(reply.job_id)
    }
}

impl PutScheduleOptions {
    /// The body: what was given, and nothing else, so that the service's defaults hold.
    pub(crate) fn to_request(&self) -> Value {
        let mut body = json!({ "kind": self.kind, "args": self.args });
        let given = [
            ("cron", self.cron.clone().map(Value::from)),
            ("time_zone", self.time_zone.clone().map(Value::from)),
            ("at", self.at.clone().map(Value::from)),
            ("priority", self.priority.map(Value::from)),
            ("max_attempts", self.max_attempts.map(Value::from)),
            ("missed", self.missed.clone().map(Value::from)),
            ("jitter", self.jitter.clone().map(Value::from)),
            ("enabled", self.disabled.then_some(Value::from(false))),
        ];
        for (key, value) in given {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        body
    }
}
