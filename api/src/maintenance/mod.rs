//! What the leader does for all workers.

mod dto;

use poem_openapi::{OpenApi, payload::Json};
use resume_queue::maintenance::report;

use self::dto::ServiceList;
use crate::{
    database::bounded,
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Maintenance(AppState);

struct ListRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

impl Maintenance {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }
}

#[OpenApi(tag = "Tag::Maintenance")]
impl Maintenance {
    /// List the maintenance services
    ///
    /// When each ran last, what that came to, and what it has cost so far. Empty before a worker has led for
    /// the first time.
    #[oai(path = "/api/v1/maintenance", method = "get", operation_id = "list_maintenance")]
    async fn list_maintenance(&self) -> Result<Json<ServiceList>, Refused<ListRefusals>> {
        Ok(Json(bounded(report(&self.0.pool)).await?.into()))
    }
}
