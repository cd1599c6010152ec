//! The processes that run jobs.

mod dto;

use poem_openapi::{OpenApi, payload::Json};
use resume_core::db;
use resume_queue::{inspect, leader};

use self::dto::WorkerList;
use crate::{
    database::bounded,
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Workers(AppState);

struct ListRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

impl Workers {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn all(&self) -> Result<WorkerList, db::Error> {
        let leader = leader(&self.0.pool).await?;
        Ok(WorkerList::new(inspect::workers(&self.0.pool).await?, leader))
    }
}

#[OpenApi(tag = "Tag::Workers")]
impl Workers {
    /// List workers
    ///
    /// Those that live, and those that stopped within the last hour; the newest first, at most 1,000. And
    /// which of them leads.
    #[oai(path = "/api/v1/workers", method = "get", operation_id = "list_workers")]
    async fn list_workers(&self) -> Result<Json<WorkerList>, Refused<ListRefusals>> {
        Ok(Json(bounded(self.all()).await?))
    }
}
