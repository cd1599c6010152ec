//! What goes over the wire.

use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Object, types::Example};
use resume_queue::maintenance::ServiceReport;

/// The maintenance services.
#[derive(Debug, Object)]
#[oai(rename = "MaintenanceList", example)]
pub(super) struct ServiceList {
    /// The services, by name.
    results: Vec<Service>,
}

/// One concern of the upkeep.
#[derive(Debug, Object)]
#[oai(rename = "MaintenanceService")]
struct Service {
    /// Its name.
    service: String,
    /// The id of the leader that ran it last.
    worker_id: i64,
    /// How often it was run, failures included. The runs of the last ten seconds may be missing.
    runs: i64,
    /// How often it failed.
    failures: i64,
    /// When its last run began.
    last_started_at: DateTime<Utc>,
    /// How long that was ago.
    age_seconds: f64,
    /// How long its last run took.
    last_duration_seconds: f64,
    /// How many jobs, rows, partitions or indexes its last run dealt with.
    last_affected: i64,
    /// Why its last run failed; null when it went well.
    #[oai(nullable)]
    last_error: Option<String>,
    /// How long all its runs took.
    total_duration_seconds: f64,
    /// How many jobs, rows, partitions or indexes all its runs dealt with.
    total_affected: i64,
}

impl From<Vec<ServiceReport>> for ServiceList {
    fn from(services: Vec<ServiceReport>) -> Self {
        Self { results: services.into_iter().map(Into::into).collect() }
    }
}

impl From<ServiceReport> for Service {
    fn from(report: ServiceReport) -> Self {
        Self {
            service: report.service,
            worker_id: report.worker_id,
            runs: report.runs,
            failures: report.failures,
            last_started_at: report.last_started_at,
            age_seconds: report.age.as_secs_f64(),
            last_duration_seconds: report.last_duration.as_secs_f64(),
            last_affected: report.last_affected,
            last_error: report.last_error,
            total_duration_seconds: report.total_duration.as_secs_f64(),
            total_affected: report.total_affected,
        }
    }
}

impl Example for ServiceList {
    fn example() -> Self {
        let service = Service {
            service: "rescue".to_owned(),
            worker_id: 12,
            runs: 4_000,
            failures: 0,
            last_started_at: Utc.timestamp_nanos(1_795_446_000_000_000_000),
            age_seconds: 0.7,
            last_duration_seconds: 0.001,
            last_affected: 0,
            last_error: None,
            total_duration_seconds: 5.2,
            total_affected: 3,
        };
        Self { results: vec![service] }
    }
}
