//! Raw documents: what a collection has stored, with what became of each, and each of them byte for byte.

mod dto;

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use resume_core::{
    document::{self, Document, DocumentFilter, DocumentState},
    resume,
};
use uuid::Uuid;

use self::dto::{Behind, DocumentList, State};
use crate::{
    collections, cursor,
    database::bounded,
    name::Name,
    problem::Problem,
    refused::{LookupRefusals, OfCollectionRefusals, Refused},
    resumes::RawReply,
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Documents(AppState);

impl Documents {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn list(
        &self,
        collection_id: Uuid,
        filter: &DocumentFilter,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Document>, Problem> {
        // Those that are not parsed are found without the calls.
        let needs_calls = matches!(filter.state, None | Some(DocumentState::Parsed));
        match collections::with_calls(&self.0.pool, collection_id).await {
            Err(gone) if gone.is_gone() && !needs_calls => {}
            other => other?,
        }
        Ok(document::list(&self.0.pool, collection_id, filter, after, limit).await?)
    }

    async fn find(&self, id: i64, hidden: bool) -> Result<(Document, Vec<u8>), Problem> {
        let pool = &self.0.pool;
        let unknown = || Problem::not_found(format!("there is no raw document {id}"));
        let found = document::find(pool, id).await?.ok_or_else(unknown)?;
        let resume = resume::find(pool, found.resume_id, true).await?;
        if !hidden && resume.is_some_and(|resume| resume.hidden_at.is_some()) {
            return Err(unknown());
        }
        let body = document::body(pool, id).await?.ok_or_else(unknown)?;
        Ok((found, body))
    }
}

#[OpenApi(tag = "Tag::Collections")]
impl Documents {
    /// List the documents of a collection
    ///
    /// Those that it stored, and those of earlier collections that had failed and were parsed again by it; in
    /// the order in which they were stored. Of each it tells what has become of it and, where it failed, why.
    /// Some time after its end, 30 days unless set otherwise, only those that are not parsed are listed, by
    /// their state: `state=failed`.
    #[oai(
        path = "/api/v1/data-collection/:data_request_id/documents",
        method = "get",
        operation_id = "list_documents"
    )]
    async fn list_documents(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
        /// Only those in this state.
        state: Query<Option<State>>,
        /// Only those that failed, or were given up, with this code.
        code: Query<Option<Name>>,
        /// How many to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<DocumentList>, Refused<OfCollectionRefusals>> {
        let after = cursor.0.as_deref().map(cursor::decode::<Behind>).transpose()?;
        let filter = DocumentFilter { state: state.0.map(Into::into), code: code.0.map(|code| code.0) };
        // One more than asked for tells whether there is a next page.
        let fetch = i64::from(limit.0) + 1;
        let listed = self.list(data_request_id.0, &filter, after.map_or(0, |after| after.0), fetch);
        Ok(Json(DocumentList::new(bounded(listed).await?, limit.0 as usize)))
    }

    /// Get a raw document
    ///
    /// As the source gave it, byte for byte. The headers say where it came from and when.
    #[oai(path = "/api/v1/raw-documents/:id", method = "get", operation_id = "get_raw_document_by_id")]
    async fn get_raw_document_by_id(
        &self,
        /// The number that `list_documents` gave.
        id: Path<i64>,
        /// Whether to include documents of hidden people.
        #[oai(default)]
        hidden: Query<bool>,
        /// The `ETag` of a copy that the caller has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<RawReply, Refused<LookupRefusals>> {
        let (document, body) = bounded(self.find(id.0, hidden.0)).await?;
        Ok(RawReply::new(document, body, if_none_match.0.as_deref()))
    }
}
