use std::{error::Error, fmt};

use poem::{
    Response,
    error::ResponseError,
    http::{HeaderValue, StatusCode, header},
};
use poem_openapi::{Object, types::ToJSON};
use resume_core::db;

/// The media type of problems.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// How long a caller is asked to wait where a 503 says so: a restart of Postgres takes about a second.
const RETRY_AFTER_SECONDS: u16 = 2;

/// The types of problem: a closed list, part of the interface.
///
/// | type | status | when |
/// | --- | --- | --- |
/// | `urn:resume-service:problem:invalid-request` | 400 | a parameter, header or field of the body is missing, unknown or out of range; `errors` names each |
/// | `urn:resume-service:problem:malformed-body` | 400 | the body is not a JSON object, or broke off |
/// | `urn:resume-service:problem:not-found` | 404 | nothing is there under this path or id |
/// | `urn:resume-service:problem:method-not-allowed` | 405 | the path is there, for the methods in `Allow` |
/// | `urn:resume-service:problem:nothing-failed` | 409 | a collection that is neither stopped nor has anything that failed, of what was asked for, cannot be continued |
/// | `urn:resume-service:problem:nothing-held-back` | 409 | a collection that holds nobody back from being hidden, or no longer, has nothing to confirm |
/// | `urn:resume-service:problem:collection-over` | 409 | a collection that is over can be neither paused nor cancelled |
/// | `urn:resume-service:problem:collection-under-way` | 409 | the source wants one collection at a time, and one is not over |
/// | `urn:resume-service:problem:wrong-job-state` | 409 | a job in its state cannot be cancelled, retried or discarded |
/// | `urn:resume-service:problem:unique-key-taken` | 409 | a job cannot come back while another one has its unique key |
/// | `urn:resume-service:problem:erasure-key-missing` | 409 | people cannot be erased, or new ones stored, without the erasure key |
/// | `urn:resume-service:problem:calls-deleted` | 410 | the calls of the collection, and what is found by them, were deleted after their time |
/// | `urn:resume-service:problem:body-too-large` | 413 | the body is over 1 MiB |
/// | `urn:resume-service:problem:unsupported-media-type` | 415 | the body is not `application/json` |
/// | `urn:resume-service:problem:idempotency-key-reused` | 422 | the key stands for a request with other parameters |
/// | `urn:resume-service:problem:internal-error` | 500 | a fault of the service; its log has the request id that `instance` names |
/// | `urn:resume-service:problem:too-many-streams` | 503 | the process serves 100 streams of events already |
/// | `urn:resume-service:problem:too-many-imports` | 503 | as many files are received, or stored, as may be at once; try again after `Retry-After` |
/// | `urn:resume-service:problem:database-unavailable` | 503 | the database is away; try again after `Retry-After` |
///
/// Besides, `about:blank`: the status says it all. The mock source uses it, for its 429.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProblemType {
    /// A parameter, header or field of the body is not acceptable.
    InvalidRequest,
    /// The body is not a JSON object.
    MalformedBody,
    /// There is nothing under this path or id.
    NotFound,
    /// The path does not answer this method.
    MethodNotAllowed,
    /// There is no failed page to fetch again.
    NothingFailed,
    /// The collection holds nobody back from being hidden.
    NothingHeldBack,
    /// The collection is over.
    CollectionOver,
    /// Another collection of the source is not over.
    CollectionUnderWay,
    /// The job's state does not allow the change.
    WrongJobState,
    /// Another job has the unique key of this one.
    UniqueKeyTaken,
    /// The process has no erasure key, or another one than the database was used with.
    ErasureKeyMissing,
    /// The calls of the collection were deleted after their time.
    CallsDeleted,
    /// The body is too large.
    BodyTooLarge,
    /// The body is not JSON.
    UnsupportedMediaType,
    /// The idempotency key was used with other parameters.
    IdempotencyKeyReused,
    /// A fault of the service.
    InternalError,
    /// So many streams are not served at once.
    TooManyStreams,
    /// So many files are not received at once, or not stored.
    TooManyImports,
    /// The database is away.
    DatabaseUnavailable,
    /// A status that the framework gave.
    Blank(StatusCode),
}

impl ProblemType {
    /// Every type, in the order of the table.
    const ALL: [Self; 19] = [
        Self::InvalidRequest,
        Self::MalformedBody,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NothingFailed,
        Self::NothingHeldBack,
        Self::CollectionOver,
        Self::CollectionUnderWay,
        Self::WrongJobState,
        Self::UniqueKeyTaken,
        Self::ErasureKeyMissing,
        Self::CallsDeleted,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::IdempotencyKeyReused,
        Self::InternalError,
        Self::TooManyStreams,
        Self::TooManyImports,
        Self::DatabaseUnavailable,
    ];

    /// The list of all types, in Markdown.
    pub(crate) fn list() -> String {
        let row = |kind: Self| {
            let (_, status, title) = kind.row();
            format!("- `{}` ({}): {title}\n", kind.uri(), status.as_u16())
        };
        Self::ALL.map(row).concat()
    }

    /// Its URI.
    fn uri(self) -> String {
        match self {
            Self::Blank(_) => "about:blank".to_owned(),
            named => format!("urn:resume-service:problem:{}", named.row().0),
        }
    }

    /// Its name, status and title.
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            Self::InvalidRequest => ("invalid-request", StatusCode::BAD_REQUEST, "Invalid request"),
            Self::MalformedBody => ("malformed-body", StatusCode::BAD_REQUEST, "Malformed body"),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND, "Not found"),
            Self::MethodNotAllowed => {
                ("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
            }
            Self::NothingFailed => ("nothing-failed", StatusCode::CONFLICT, "Nothing failed"),
            Self::NothingHeldBack => ("nothing-held-back", StatusCode::CONFLICT, "Nothing held back"),
            Self::CollectionOver => ("collection-over", StatusCode::CONFLICT, "Collection over"),
            Self::CollectionUnderWay => {
                ("collection-under-way", StatusCode::CONFLICT, "Collection under way")
            }
            Self::WrongJobState => ("wrong-job-state", StatusCode::CONFLICT, "Wrong job state"),
            Self::UniqueKeyTaken => ("unique-key-taken", StatusCode::CONFLICT, "Unique key taken"),
            Self::ErasureKeyMissing => ("erasure-key-missing", StatusCode::CONFLICT, "Erasure key missing"),
            Self::CallsDeleted => ("calls-deleted", StatusCode::GONE, "Calls deleted"),
            Self::BodyTooLarge => ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "Body too large"),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
            }
            Self::IdempotencyKeyReused => {
                ("idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key reused")
            }
            Self::InternalError => ("internal-error", StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
            Self::TooManyStreams => ("too-many-streams", StatusCode::SERVICE_UNAVAILABLE, "Too many streams"),
            Self::TooManyImports => ("too-many-imports", StatusCode::SERVICE_UNAVAILABLE, "Too many imports"),
            Self::DatabaseUnavailable => {
                ("database-unavailable", StatusCode::SERVICE_UNAVAILABLE, "Database unavailable")
            }
            Self::Blank(status) => ("", status, status.canonical_reason().unwrap_or("Error")),
        }
    }
}

/// Why a request was refused. What a caller gets of it is everything but the cause, which only the log gets.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ProblemType,
    detail: String,
    errors: Vec<FieldError>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

/// What is wrong with one field, header or parameter of a request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct FieldError {
    /// The name of the parameter, header or field.
    pub(crate) field: String,
    /// What it should have been, or what is wrong with it.
    pub(crate) detail: String,
}

/// An error, after RFC 9457.
#[derive(Debug, Object)]
#[oai(rename = "Problem", skip_serializing_if_is_none)]
pub(crate) struct ProblemBody {
    /// Which type of problem it is: one of a closed list, stable.
    #[oai(rename = "type")]
    kind: String,
    /// The type in words.
    title: String,
    /// The HTTP status.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    status: u16,
    /// What happened, for people.
    detail: String,
    /// This very occurrence: `urn:uuid:` and the request id, which the log has too.
    instance: Option<String>,
    /// With an invalid request: everything that is wrong with it.
    errors: Option<Vec<FieldError>>,
}

impl Problem {
    /// A problem of this type.
    pub(crate) fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), cause: None }
    }

    /// An invalid request; `errors` says what is wrong, and is not empty.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let details: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.detail)).collect();
        Self { errors, ..Self::new(ProblemType::InvalidRequest, details.join("; ")) }
    }

    /// An invalid request with one thing wrong.
    pub(crate) fn invalid_field(field: &str, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { field: field.to_owned(), detail: detail.into() }])
    }

    /// Nothing is there under this id.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NotFound, detail)
    }

    /// The database is away.
    pub(crate) fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let detail = "the database cannot be reached; try again in a moment";
        Self { cause: Some(cause.into()), ..Self::new(ProblemType::DatabaseUnavailable, detail) }
    }

    /// Something that is not the caller's fault: the database is away, or it is a fault of the service.
    pub(crate) fn failure(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        let cause = cause.into();
        let mut causes =
            std::iter::successors(Some(cause.as_ref() as &(dyn Error + 'static)), |&e| e.source());
        if causes.any(|e| e.downcast_ref().is_some_and(db::is_unavailable)) {
            return Self::unavailable(cause);
        }
        let detail = "the service failed; its log has the details under this request id";
        Self { cause: Some(cause), ..Self::new(ProblemType::InternalError, detail) }
    }

    /// Whether what was asked for was deleted after its time.
    pub(crate) fn is_gone(&self) -> bool {
        self.kind == ProblemType::CallsDeleted
    }

    /// The status of the reply.
    pub(crate) fn status(&self) -> StatusCode {
        self.kind.row().1
    }

    /// What the log shall say: the cause and all its causes.
    pub(crate) fn causes(&self) -> Option<String> {
        let first: &(dyn Error + 'static) = self.cause.as_deref()?;
        let texts: Vec<String> =
            std::iter::successors(Some(first), |&e| e.source()).map(ToString::to_string).collect();
        Some(texts.join(": "))
    }

    /// The reply. `instance` names this occurrence.
    pub(crate) fn to_response(&self, instance: Option<String>) -> Response {
        let (_, status, title) = self.kind.row();
        let body = ProblemBody {
            kind: self.kind.uri(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.detail.clone(),
            instance,
            errors: Some(self.errors.clone()).filter(|errors| !errors.is_empty()),
        };
        let mut response = Response::builder()
            .status(status)
            .content_type(PROBLEM_JSON)
            .body(body.to_json().unwrap_or_default().to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl Error for Problem {}

impl ResponseError for Problem {
    fn status(&self) -> StatusCode {
        self.status()
    }

    fn as_response(&self) -> Response {
        self.to_response(None)
    }
}

impl From<db::Error> for Problem {
    fn from(error: db::Error) -> Self {
        Self::failure(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_every_type() {
        let listed: Vec<&str> =
            include_str!("problem.rs").lines().filter(|line| line.starts_with("/// | `urn:")).collect();
        assert_eq!(listed.len(), ProblemType::ALL.len());
        for (row, kind) in listed.iter().zip(ProblemType::ALL) {
            let (urn, (_, status, _)) = (kind.uri(), kind.row());
            assert!(row.starts_with(&format!("/// | `{urn}` | {} | ", status.as_u16())), "{row}");
        }
    }

    #[test]
    fn a_broken_connection_is_no_fault_of_the_service() {
        let gone = || db::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(Problem::failure(gone()).status(), 503);
        let nested = resume_core::collection::StartError::Database(gone());
        assert_eq!(Problem::failure(nested).status(), 503);
        assert_eq!(Problem::failure(db::Error::RowNotFound).status(), 500);
    }
}
