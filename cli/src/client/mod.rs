mod imports;
mod jobs;
mod people;
mod queues;
mod schedules;
mod sources;
mod stored;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::options::{CollectOptions, StatusOptions};

pub(crate) use jobs::Job;
pub(crate) use queues::{Depths, Queue, Worker};
pub(crate) use schedules::Schedule;
pub(crate) use sources::{Source, SourceCalls};
pub(crate) use stored::Resume;

/// The calls that the command line makes to a running service.
pub(crate) struct Client {
    http: reqwest::Client,
    base: String,
}

/// How far a collection is; the part of the reply that is shown.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) data_request_id: String,
    pub(crate) source: String,
    pub(crate) state: String,
    pub(crate) percent: f64,
    pub(crate) eta_seconds: Option<f64>,
    pub(crate) elapsed_seconds: f64,
    pub(crate) parameters: Parameters,
    pub(crate) pages: Pages,
    pub(crate) documents: Documents,
    pub(crate) calls: Calls,
    pub(crate) errors: Vec<ErrorCount>,
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) complete: Option<bool>,
    pub(crate) is_cut: bool,
    pub(crate) is_over: bool,
}

/// Something that a collection waits for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) message: String,
    pub(crate) source: Option<String>,
    pub(crate) next_try_at: Option<String>,
}

/// What was asked for.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Parameters {
    pub(crate) count: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pages {
    pub(crate) expected: Option<u64>,
    pub(crate) fetched: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Documents {
    pub(crate) stored: u64,
    pub(crate) unchanged: u64,
    pub(crate) parsed: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Calls {
    pub(crate) made: u64,
    pub(crate) rate_limited: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ErrorCount {
    pub(crate) code: String,
    pub(crate) count: u64,
    pub(crate) sample: String,
}

impl Status {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// A collection in a list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Listed {
    pub(crate) data_request_id: String,
    pub(crate) source: String,
    pub(crate) state: String,
    pub(crate) count: Option<u64>,
    pub(crate) created_at: String,
}

/// One page of search results.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Found {
    pub(crate) results: Vec<Hit>,
    pub(crate) total: Total,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Hit {
    pub(crate) id: i64,
    pub(crate) external_id: String,
    pub(crate) source: String,
    pub(crate) skills: Vec<String>,
    pub(crate) matched_skills: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Total {
    pub(crate) value: u64,
    pub(crate) exact: bool,
}

#[derive(Deserialize)]
struct List<T> {
    results: Vec<T>,
}

/// An error as the API answers it (RFC 9457).
#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
}

impl Client {
    pub(crate) fn new(base: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build()?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned() })
    }

    /// Triggers a collection and gives its id.
    pub(crate) async fn trigger(&self, body: &Value) -> Result<String> {
        let reply: Value =
            self.send(self.http.post(self.address("data-collection/trigger")).json(body)).await?;
        let id =
            reply.get("data_request_id").and_then(Value::as_str).context("the reply names no collection")?;
        Ok(id.to_owned())
    }

    pub(crate) async fn continue_collection(&self, id: &str, what: &str) -> Result<()> {
        let address = self.named("data-collection/continue", id, &[])?;
        let _: Value = self.send(self.http.post(address).json(&serde_json::json!({ "what": what }))).await?;
        Ok(())
    }

    /// Pauses or cancels a collection; gives how far it is then.
    pub(crate) async fn stop(&self, id: &str, how: &str) -> Result<Status> {
        self.send(self.http.post(self.named(&format!("data-collection/{how}"), id, &[])?)).await
    }

    pub(crate) async fn status(&self, id: &str) -> Result<Status> {
        self.send(self.http.get(self.named("data-collection/status", id, &[])?)).await
    }

    /// Lets a collection hide as many people as its source no longer lists; gives how it stands then.
    pub(crate) async fn confirm_hiding(&self, id: &str) -> Result<Status> {
        self.send(self.http.post(self.named("data-collection", id, &["confirm-hiding"])?)).await
    }

    /// The latest collections, of a source and in some states if asked for.
    pub(crate) async fn latest(&self, options: &StatusOptions) -> Result<Vec<Listed>> {
        let given = [("source", &options.source), ("state", &options.state)];
        let request = self.http.get(self.address("data-collection")).query(&[("limit", options.limit)]);
        let list: List<Listed> = self.send(request.query(&given)).await?;
        Ok(list.results)
    }

    pub(crate) async fn search(&self, skills: &str, matching: &str, limit: u32) -> Result<Found> {
        let query = [("skills", skills), ("match", matching), ("limit", &limit.to_string())];
        self.send(self.http.get(self.address("resumes/search")).query(&query)).await
    }

    fn address(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }

    /// The address of what has this name, whatever characters it has.
    ///
    /// # Errors
    /// When it has none but dots and slashes: `.` and `..` are left out of an address, which is another one
    /// then.
    fn named(&self, resource: &str, name: &str, rest: &[&str]) -> Result<reqwest::Url> {
        if name.chars().all(|c| c == '.' || c == '/') {
            bail!("{name:?} is no name: there must be more than dots and slashes");
        }
        let mut url: reqwest::Url = self.address(resource).parse().context("reading the service's URL")?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(name).extend(rest);
        }
        Ok(url)
    }

    async fn send<T: for<'a> Deserialize<'a>>(&self, request: reqwest::RequestBuilder) -> Result<T> {
        let body = self.answer(request).await?;
        serde_json::from_slice(&body).context("the service answered something else than expected")
    }

    /// The body of the answer, where it is no error.
    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>> {
        let response = request.send().await.with_context(|| {
            format!(
                "no service answers at {}; start one with `resume-service up`, or name it with --url",
                self.base
            )
        })?;
        let status = response.status();
        let body = response.bytes().await.context("the answer broke off")?;
        if !status.is_success() {
            match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => bail!("{}: {}", problem.title, problem.detail.unwrap_or_default()),
                Err(_) => bail!("the service answered {status}"),
            }
        }
        Ok(body.into())
    }
}

impl CollectOptions {
    /// The body of the trigger: what was given, and nothing else, so that the service's defaults hold.
    pub(crate) fn to_request(&self) -> Value {
        let mut body = json!({});
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[key] = value;
            }
        };
        set("source", self.source.clone().map(Value::from));
        set("count", self.count.map(Value::from));
        set("per_page", self.per_page.map(Value::from));
        set("batch_size", self.batch_size.map(Value::from));
        set("full", self.full.then_some(Value::from(true)));
        set("error_mode", self.error_mode.then_some(Value::from(true)));
        set("seed", self.seed.map(Value::from));
        body
    }
}
