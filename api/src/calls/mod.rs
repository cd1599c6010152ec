//! The calls of a collection.

mod dto;

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use resume_core::call::{self, CallFilter, ListedCall};
use uuid::Uuid;

use self::dto::{Behind, CallList, State, Step};
use crate::{
    collections, cursor,
    database::bounded,
    name::Name,
    problem::Problem,
    refused::{OfCollectionRefusals, Refused},
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Calls(AppState);

impl Calls {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn list(
        &self,
        collection_id: Uuid,
        filter: &CallFilter,
        after: Option<i64>,
        limit: i64,
    ) -> Result<Vec<ListedCall>, Problem> {
        collections::with_calls(&self.0.pool, collection_id).await?;
        Ok(call::list(&self.0.pool, collection_id, filter, after, limit).await?)
    }
}

#[OpenApi(tag = "Tag::Collections")]
impl Calls {
    /// List the calls of a collection
    ///
    /// Every request that it has made or is about to make, as far as it is known: for a page of a list, one
    /// item in full or a file. By step and, of each step, by parent, item, place and reading. They are
    /// deleted some time after its end, 30 days unless set otherwise.
    #[oai(
        path = "/api/v1/data-collection/:data_request_id/calls",
        method = "get",
        operation_id = "list_calls"
    )]
    async fn list_calls(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
        /// Only those in this state.
        state: Query<Option<State>>,
        /// Only those of this step.
        step: Query<Option<Step>>,
        /// Only those that went wrong with this code.
        code: Query<Option<Name>>,
        /// How many to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<CallList>, Refused<OfCollectionRefusals>> {
        let after = cursor.0.as_deref().map(cursor::decode::<Behind>).transpose()?.map(|after| after.0);
        let code = code.0.map(|code| code.0);
        let filter = CallFilter { state: state.0.map(Into::into), step: step.0.map(Into::into), code };
        // One more than asked for tells whether there is a next page.
        let fetch = i64::from(limit.0) + 1;
        let listed = bounded(self.list(data_request_id.0, &filter, after, fetch)).await?;
        Ok(Json(CallList::new(listed, limit.0 as usize)))
    }
}
