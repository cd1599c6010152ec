//! Whether the process lives, and whether it can work.

use std::time::Duration;

use poem_openapi::{Enum, Object, OpenApi, payload::Json};
use resume_core::db;

use crate::{
    problem::Problem,
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// Shorter than the time-out of the probes of usual orchestrators would be kind; Kubernetes gives up after 1
/// s by default and counts that as a failure too.
const READY_TIME_LIMIT: Duration = Duration::from_secs(2);

/// The resource.
pub(crate) struct Health(AppState);

/// How the service is.
#[derive(Object)]
struct HealthReply {
    /// Always `ok`; otherwise the reply is a problem.
    status: HealthStatus,
}

#[derive(Enum)]
#[oai(rename_all = "lowercase")]
enum HealthStatus {
    /// All is well.
    Ok,
}

struct NotReady;

impl Refusals for NotReady {
    const STATUSES: &'static [u16] = &[503];
}

impl Health {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }
}

#[OpenApi(tag = "Tag::Health")]
impl Health {
    /// Is the process alive?
    ///
    /// Does not look at the database: a restart of this process would not bring that back.
    #[oai(path = "/healthz", method = "get", operation_id = "get_health")]
    async fn get_health(&self) -> Json<HealthReply> {
        Json(HealthReply { status: HealthStatus::Ok })
    }

    /// Can the service work?
    ///
    /// Tells within two seconds whether the database can be reached.
    #[oai(path = "/readyz", method = "get", operation_id = "get_readiness")]
    async fn get_readiness(&self) -> Result<Json<HealthReply>, Refused<NotReady>> {
        match tokio::time::timeout(READY_TIME_LIMIT, db::ping(&self.0.pool)).await {
            Ok(Ok(())) => Ok(Json(HealthReply { status: HealthStatus::Ok })),
            Ok(Err(error)) => Err(Problem::unavailable(error).into()),
            Err(elapsed) => Err(Problem::unavailable(elapsed).into()),
        }
    }
}
