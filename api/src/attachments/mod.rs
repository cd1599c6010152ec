//! Attachments: the files that came with what a resume was made of.

mod dto;
mod file;
mod sha256;

use poem_openapi::{
    OpenApi,
    param::{Path, Query},
    payload::Json,
};
use resume_core::{attachment, resume};

use self::{dto::AttachmentsReply, file::FileReply, sha256::Sha256};
use crate::{
    database::bounded,
    problem::Problem,
    refused::{LookupRefusals, Refused},
    spec::Tag,
    state::AppState,
};

pub(crate) use sha256::{EXPECTED as SHA256_EXPECTED, FORMAT as SHA256_FORMAT};

/// The resource.
pub(crate) struct Attachments(AppState);

impl Attachments {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn of_resume(&self, id: i64, hidden: bool) -> Result<Vec<attachment::Attachment>, Problem> {
        let resume = resume::find(&self.0.pool, id, hidden).await?;
        let resume = resume.ok_or_else(|| Problem::not_found(format!("there is no resume {id}")))?;
        Ok(attachment::list(&self.0.pool, resume.document_id).await?)
    }
}

#[OpenApi(tag = "Tag::Resumes")]
impl Attachments {
    /// List the attachments of a resume
    ///
    /// The files that came with the document that the resume was made from, in the order of the source. Those
    /// that are still to be fetched, or that could not be, are not among them.
    #[oai(path = "/api/v1/resumes/:id/attachments", method = "get", operation_id = "list_attachments")]
    async fn list_attachments(
        &self,
        /// The id that a search gave.
        id: Path<i64>,
        /// Whether to include hidden people.
        #[oai(default)]
        hidden: Query<bool>,
    ) -> Result<Json<AttachmentsReply>, Refused<LookupRefusals>> {
        let attachments = bounded(self.of_resume(id.0, hidden.0)).await?;
        Ok(Json(attachments.into()))
    }

    /// Get an attachment
    ///
    /// The file as the source gave it, byte for byte, to be saved and not shown: it comes from strangers.
    #[oai(path = "/api/v1/attachments/:sha256", method = "get", operation_id = "get_attachment")]
    async fn get_attachment(
        &self,
        /// The SHA-256 of the file, as the list of attachments tells it.
        sha256: Path<Sha256>,
    ) -> Result<FileReply, Refused<LookupRefusals>> {
        let found = bounded(attachment::find(&self.0.pool, &sha256.0.0)).await?;
        let file = found.ok_or_else(|| Problem::not_found("there is no attachment with this SHA-256"))?;
        Ok(FileReply { file, sha256: sha256.0 })
    }
}
