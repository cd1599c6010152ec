//! One person's data: giving it out, and erasing it.

mod dto;
mod external_id;

use poem_openapi::{OpenApi, param::Path, payload::Json};
use resume_core::{
    db,
    erasure::{self, CheckError, Key},
    person::{self, EraseError, Erased, Whom},
    source,
};

use self::dto::LiftedReply;
pub(crate) use self::{dto::ErasedReply, external_id::ExternalId};
use crate::{
    database::bounded,
    name::Name,
    problem::{Problem, ProblemType},
    refused::{LookupRefusals, Refusals, Refused},
    spec::Tag,
    state::AppState,
};

pub(crate) use external_id::{EXPECTED as EXTERNAL_ID_EXPECTED, FORMAT as EXTERNAL_ID_FORMAT};

/// How often an erasure is tried that waits for a job which waits for it.
const TRIES_MAX: u32 = 4;

/// The resource.
pub(crate) struct People(AppState);

/// Why nobody is erased.
pub(crate) struct EraseRefusals;

impl Refusals for EraseRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 409, 500, 503];
}

impl People {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn lift(&self, source: &str, external_id: &str) -> Result<(), Problem> {
        let key = key(&self.0)?;
        let mut tx = db::begin(&self.0.pool).await?;
        let is_lifted = match source::number(&mut tx, source).await? {
            Some(source_id) => erasure::lift(&mut tx, source_id, key, external_id).await?,
            None => false,
        };
        if !is_lifted {
            return Err(Problem::not_found("nobody with this id was erased from this source, with this key"));
        }
        Ok(tx.commit().await?)
    }
}

fn key(state: &AppState) -> Result<&Key, Problem> {
    state.erasure_key.as_ref().ok_or_else(|| {
        let detail = "this process has no erasure key, and without it nobody could tell later who was erased: set \
                      RESUME_ERASURE_KEY_FILE to a file with at least 32 random bytes, the same one for \
                      every api and worker (`openssl rand -hex 32 > erasure.key`)";
        Problem::new(ProblemType::ErasureKeyMissing, detail)
    })
}

/// Erases a person.
pub(crate) async fn erase(state: &AppState, whom: Whom<'_>) -> Result<ErasedReply, Problem> {
    let key = key(state)?;
    let mut tries = 1;
    loop {
        let mut tx = db::begin(&state.pool).await?;
        match person::erase(&mut tx, key, whom).await {
            Ok(erased) => {
                tx.commit().await?;
                let Erased { documents, attachments, calls } = erased;
                tracing::info!(documents, attachments, calls, "a person was erased");
                return Ok(erased.into());
            }
            Err(error) if error.is_contention() && tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error.into()),
        }
        tx.rollback().await?;
    }
}

#[OpenApi]
impl People {
    /// Erase a person
    ///
    /// As the erasure of a resume, for anybody whom the source knows, whether or not they have a resume.
    #[oai(
        path = "/api/v1/sources/:source/people/:external_id",
        method = "delete",
        operation_id = "erase_person",
        tag = "Tag::Sources"
    )]
    async fn erase_person(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The id that the source gave the person, percent-encoded.
        external_id: Path<ExternalId>,
    ) -> Result<Json<ErasedReply>, Refused<EraseRefusals>> {
        let whom = Whom::Person { source: &source.0.0, external_id: &external_id.0.0 };
        Ok(Json(bounded(erase(&self.0, whom)).await?))
    }

    /// Export all that is held about a person
    ///
    /// Their ids, every document with its body, failures and attachments, the resume, and the calls that were
    /// made for them. The body of a document that is no UTF-8 is in `body_base64`.
    #[oai(
        path = "/api/v1/sources/:source/people/:external_id/export",
        method = "get",
        operation_id = "export_person",
        tag = "Tag::Sources"
    )]
    async fn export_person(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The id that the source gave the person, percent-encoded.
        external_id: Path<ExternalId>,
    ) -> Result<Json<serde_json::Value>, Refused<LookupRefusals>> {
        let whom = Whom::Person { source: &source.0.0, external_id: &external_id.0.0 };
        Ok(Json(bounded(person::export(&self.0.pool, whom)).await?))
    }

    /// Lift an erasure
    ///
    /// The next collection that lists the person stores them again, as somebody new.
    #[oai(
        path = "/api/v1/sources/:source/people/:external_id/erasure",
        method = "delete",
        operation_id = "lift_erasure",
        tag = "Tag::Sources"
    )]
    async fn lift_erasure(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The id that the source gave the person, percent-encoded.
        external_id: Path<ExternalId>,
    ) -> Result<Json<LiftedReply>, Refused<EraseRefusals>> {
        bounded(self.lift(&source.0.0, &external_id.0.0)).await?;
        Ok(Json(LiftedReply::new(source.0.0, external_id.0.0)))
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::Unknown => Self::not_found("nothing is held about this person"),
            EraseError::Check(CheckError::KeyMissing) => {
                Self::new(ProblemType::ErasureKeyMissing, error.to_string())
            }
            EraseError::Check(_) | EraseError::Enqueue(_) | EraseError::Database(_) => Self::failure(error),
        }
    }
}
