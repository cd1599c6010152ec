//! Figures for Prometheus.

use std::sync::LazyLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use poem_openapi::{OpenApi, payload::PlainText};
use resume_queue::metrics;

use crate::{spec::Tag, state::AppState};

/// Upper bounds in seconds: from a job that does nothing to a page of a slow source.
const BUCKETS: [f64; 13] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0];

/// The recorder of this process, installed by the first who asks. What was counted before is lost, so the
/// program asks when it starts.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let mut builder = PrometheusBuilder::new();
    for histogram in metrics::HISTOGRAMS {
        let matcher = Matcher::Full(histogram.to_owned());
        builder = match builder.set_buckets_for_metric(matcher, &BUCKETS) {
            Ok(builder) => builder,
            Err(_) => unreachable!("there are buckets"),
        };
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if ::metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another recorder of metrics is installed; /metrics has only what the database says");
    }
    metrics::describe();
    handle
});

/// Installs the recorder of this process, if it is not there yet.
fn install() {
    LazyLock::force(&RECORDER);
}

/// The resource.
pub(crate) struct Metrics(AppState);

impl Metrics {
    pub(crate) fn new(state: AppState) -> Self {
        install();
        Self(state)
    }
}

#[OpenApi(tag = "Tag::Health")]
impl Metrics {
    /// Figures in the text format of Prometheus
    ///
    /// Counters and histograms are of this process, gauges of the whole fleet. Reads no table of jobs. While
    /// the database is away the gauges keep their last values.
    #[oai(path = "/metrics", method = "get", operation_id = "get_metrics")]
    async fn get_metrics(&self) -> PlainText<String> {
        if let Err(error) = metrics::refresh(&self.0.pool).await {
            tracing::debug!(%error, "the gauges were not refreshed");
        }
        RECORDER.run_upkeep();
        PlainText(RECORDER.render())
    }
}
