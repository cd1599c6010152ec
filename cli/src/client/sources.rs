use anyhow::{Context, Result};
use reqwest::Url;
use resume_core::source::definition::Definition;
use serde::Deserialize;

use super::{Client, List};

/// A system that resumes are collected from.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Source {
    pub(crate) definition: Definition,
    pub(crate) updated_at: String,
    /// How many documents an older map made, where the reply tells.
    #[serde(default)]
    pub(crate) outdated: Option<u64>,
    /// Until when a silence would have lasted that was ended.
    #[serde(default)]
    pub(crate) ended_silence_until: Option<String>,
}

/// A source that is parsed again.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Reparse {
    /// Missing where there are too many to count.
    #[serde(default)]
    pub(crate) documents: Option<u64>,
    pub(crate) job_id: i64,
}

/// The calls to a source in a period.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SourceCalls {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) calls: i64,
    pub(crate) most_in_any_second: i64,
    pub(crate) windows: Vec<WindowOfCalls>,
    pub(crate) refused: i64,
    pub(crate) failed: i64,
    pub(crate) wasted: i64,
    pub(crate) waited_ms_median: i64,
    pub(crate) waited_ms_max: i64,
    pub(crate) bytes: i64,
    pub(crate) now: Option<CallState>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct WindowOfCalls {
    pub(crate) calls: u32,
    pub(crate) per_seconds: f64,
    pub(crate) most: i64,
}

/// What holds now.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct CallState {
    pub(crate) calls_per_second: Option<f64>,
    pub(crate) silent_until: Option<String>,
    pub(crate) circuit: String,
    pub(crate) open_until: Option<String>,
    pub(crate) under_way: i64,
}

/// From when to when; what is left out is the service's default.
type Period<'a> = (Option<&'a str>, Option<&'a str>);

impl Client {
    pub(crate) async fn source_calls(&self, name: &str, period: Period<'_>) -> Result<SourceCalls> {
        self.send(self.http.get(self.in_period(name, "calls", period)?)).await
    }

    /// For each limit of a source whether it was kept, as CSV.
    pub(crate) async fn source_statement(&self, name: &str, period: Period<'_>) -> Result<String> {
        let body = self.answer(self.http.get(self.in_period(name, "statement.csv", period)?)).await?;
        String::from_utf8(body).context("the service answered something else than expected")
    }

    fn in_period(&self, name: &str, what: &str, (from, to): Period<'_>) -> Result<Url> {
        let mut url = self.named("sources", name, &[what])?;
        for (parameter, time) in [("from", from), ("to", to)] {
            if let Some(time) = time {
                url.query_pairs_mut().append_pair(parameter, time);
            }
        }
        Ok(url)
    }

    pub(crate) async fn hold_source(&self, name: &str) -> Result<Source> {
        self.send(self.http.post(self.named("sources", name, &["hold"])?)).await
    }

    pub(crate) async fn release_source(&self, name: &str) -> Result<Source> {
        self.send(self.http.post(self.named("sources", name, &["release"])?)).await
    }

    pub(crate) async fn reparse_source(&self, name: &str) -> Result<Reparse> {
        self.send(self.http.post(self.named("sources", name, &["reparse"])?)).await
    }

    pub(crate) async fn sources(&self) -> Result<Vec<Source>> {
        let list: List<Source> = self.send(self.http.get(self.address("sources"))).await?;
        Ok(list.results)
    }

    pub(crate) async fn source(&self, name: &str) -> Result<Source> {
        self.send(self.http.get(self.named("sources", name, &[])?)).await
    }

    pub(crate) async fn put_source(&self, definition: &Definition) -> Result<Source> {
        let url = self.named("sources", &definition.name, &[])?;
        self.send(self.http.put(url).json(definition)).await
    }

    pub(crate) async fn remove_source(&self, name: &str) -> Result<Source> {
        self.send(self.http.delete(self.named("sources", name, &[])?)).await
    }
}
