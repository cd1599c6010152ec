//! Resumes: searching, one resume, and what it was made from.

mod dto;
mod raw;

use poem_openapi::{
    OpenApi,
    param::{Header, Path, Query},
    payload::Json,
};
use resume_core::{
    collection,
    document::{self, Document},
    person::Whom,
    resume::{self, ListPlace, Resume, ResumeFilter, SearchError, SkillQuery},
};
use uuid::Uuid;

use self::dto::{MatchMode, ResumeList, ResumeReply, SearchReply, Sight};
pub(crate) use self::raw::RawReply;
use crate::{
    collections, cursor,
    database::bounded,
    name::Name,
    people::{self, EraseRefusals, ErasedReply, ExternalId},
    problem::Problem,
    refused::{LookupRefusals, Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct Resumes(AppState);

struct ListRefusals;
impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[400, 410, 500, 503];
}

struct SearchRefusals;
impl Refusals for SearchRefusals {
    const STATUSES: &'static [u16] = &[400, 500, 503];
}

impl Resumes {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn list(
        &self,
        filter: &ResumeFilter,
        after: Option<&ListPlace>,
        limit: i64,
    ) -> Result<Vec<Resume>, Problem> {
        // Of a collection that nobody knows there are none.
        if let Some(id) = filter.collection_id
            && collection::calls_deleted(&self.0.pool, id).await? == Some(true)
        {
            return Err(collections::calls_deleted());
        }
        Ok(resume::list(&self.0.pool, filter, after, limit).await?)
    }

    async fn find(&self, id: i64, hidden: bool) -> Result<Resume, Problem> {
        let found = resume::find(&self.0.pool, id, hidden).await?;
        found.ok_or_else(|| Problem::not_found(format!("there is no resume {id}")))
    }

    async fn find_raw(&self, id: i64, hidden: bool) -> Result<(Document, Vec<u8>), Problem> {
        let resume = self.find(id, hidden).await?;
        let pool = &self.0.pool;
        let found = document::find(pool, resume.document_id).await?;
        let body = document::body(pool, resume.document_id).await?;
        let gone = || Problem::not_found(format!("the document of resume {id} is no longer kept"));
        Ok((found.ok_or_else(gone)?, body.ok_or_else(gone)?))
    }
}

#[OpenApi(tag = "Tag::Resumes")]
impl Resumes {
    /// Find resumes by skill
    ///
    /// Names are compared without regard to case, and common spellings of one skill are one: `ReactJS` finds
    /// `React`. The newest resumes come first. `total` is exact up to 10,000.
    #[oai(path = "/api/v1/resumes/search", method = "get", operation_id = "search_resumes")]
    async fn search_resumes(
        &self,
        /// The skills to search for, 1 to 50, separated by commas: `React,SQL`.
        #[oai(example = "dto::example_skills")]
        skills: Query<Vec<String>>,
        /// Whether a resume must have one of the skills, or all of them. `any` unless given.
        #[oai(name = "match")]
        mode: Query<Option<MatchMode>>,
        /// How many resumes to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<SearchReply>, Refused<SearchRefusals>> {
        let query = SkillQuery::parse(&skills.0.join(","))?;
        let before = cursor.0.as_deref().map(cursor::decode).transpose()?;
        let mode = mode.0.unwrap_or(MatchMode::Any).into();
        let page = bounded(resume::search(&self.0.pool, &query, mode, before, limit.0)).await?;
        Ok(Json(page.into()))
    }

    /// List resumes
    ///
    /// All of them, the newest people first; those of one `source` by external id; those whose latest
    /// document one collection has stored in the order of the documents.
    #[oai(path = "/api/v1/resumes", method = "get", operation_id = "list_resumes")]
    async fn list_resumes(
        &self,
        /// Only those of this source.
        source: Query<Option<Name>>,
        /// Only that of the person whom the source knows by this id.
        external_id: Query<Option<ExternalId>>,
        /// Only those whose latest document this collection has stored.
        data_request_id: Query<Option<Uuid>>,
        /// People who are shown, or people who are hidden because their source no longer lists them. `shown`
        /// unless given.
        state: Query<Option<Sight>>,
        /// How many resumes to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before, with the same parameters; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<ResumeList>, Refused<ListRefusals>> {
        let after = cursor.0.as_deref().map(cursor::decode).transpose()?;
        let filter = ResumeFilter {
            source: source.0.map(|source| source.0),
            external_id: external_id.0.map(|id| id.0),
            collection_id: data_request_id.0,
            hidden: state.0.is_some_and(Sight::is_hidden),
        };
        // One more than asked for tells whether there is a next page.
        let fetch = i64::from(limit.0) + 1;
        let found = bounded(self.list(&filter, after.as_ref(), fetch)).await?;
        Ok(Json(ResumeList::new(found, &filter, limit.0 as usize)))
    }

    /// Get a resume
    ///
    /// Everything that the parser made of it, with what it found odd in `warnings`. What it did not read is
    /// in the raw document.
    #[oai(path = "/api/v1/resumes/:id", method = "get", operation_id = "get_resume")]
    async fn get_resume(
        &self,
        /// The id that a search gave.
        id: Path<i64>,
        /// Whether to include hidden people.
        #[oai(default)]
        hidden: Query<bool>,
    ) -> Result<Json<ResumeReply>, Refused<LookupRefusals>> {
        let resume = bounded(self.find(id.0, hidden.0)).await?;
        Ok(Json(resume.into()))
    }

    /// Erase the person of a resume
    ///
    /// Deletes what is held about them: the resume, all documents, the attachments that nobody else has,
    /// failures, and texts that may tell of them. Of their id a keyed hash is left, so that the next
    /// collection does not bring them back. Asking twice is 404.
    #[oai(path = "/api/v1/resumes/:id", method = "delete", operation_id = "erase_resume")]
    async fn erase_resume(
        &self,
        /// The id that a search gave; also the `resume_id` of a document that did not become a resume.
        id: Path<i64>,
    ) -> Result<Json<ErasedReply>, Refused<EraseRefusals>> {
        Ok(Json(bounded(people::erase(&self.0, Whom::Resume(id.0))).await?))
    }

    /// Get what a resume was made from
    ///
    /// The document as the source gave it, byte for byte. The headers say where it came from and when.
    #[oai(path = "/api/v1/resumes/:id/raw", method = "get", operation_id = "get_raw_document")]
    async fn get_raw_document(
        &self,
        /// The id that a search gave.
        id: Path<i64>,
        /// Whether to include hidden people.
        #[oai(default)]
        hidden: Query<bool>,
        /// The `ETag` of a copy that the caller has.
        #[oai(name = "If-None-Match")]
        if_none_match: Header<Option<String>>,
    ) -> Result<RawReply, Refused<LookupRefusals>> {
        let (document, body) = bounded(self.find_raw(id.0, hidden.0)).await?;
        Ok(RawReply::new(document, body, if_none_match.0.as_deref()))
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        Self::invalid_field("skills", error.to_string())
    }
}
