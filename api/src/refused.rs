use std::marker::PhantomData;

use poem_openapi::{
    ApiResponse,
    payload::{Json, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::problem::{PROBLEM_JSON, Problem, ProblemBody};

/// The statuses that an operation refuses requests with, for its description. One empty type each implements
/// it.
pub(crate) trait Refusals: Send + Sync + 'static {
    /// Each status once, in ascending order.
    const STATUSES: &'static [u16];

    /// What a 503 says, if it is one of them.
    const UNAVAILABLE: &'static str = "The database cannot be reached for now.";
}

/// The refusals of an operation that looks something up by its id.
pub(crate) struct LookupRefusals;

impl Refusals for LookupRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 500, 503];
}

/// The refusals of an operation that lists what the calls of a collection have brought.
pub(crate) struct OfCollectionRefusals;

impl Refusals for OfCollectionRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 410, 500, 503];
}

/// A problem as the reply of an operation that lists its statuses in `R`. Tests hold each reply against that
/// list.
#[derive(Debug)]
pub(crate) struct Refused<R>(Problem, PhantomData<R>);

impl<R, E: Into<Problem>> From<E> for Refused<R> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<R> From<Refused<R>> for poem::Error {
    fn from(refused: Refused<R>) -> Self {
        refused.0.into()
    }
}

impl<R: Refusals> ApiResponse for Refused<R> {
    fn meta() -> MetaResponses {
        MetaResponses { responses: R::STATUSES.iter().map(|&status| described::<R>(status)).collect() }
    }

    fn register(registry: &mut Registry) {
        <Json<ProblemBody> as Payload>::register(registry);
    }
}

fn described<R: Refusals>(status: u16) -> MetaResponse {
    match status {
        503 => MetaResponse { description: R::UNAVAILABLE, ..response(status) },
        _ => response(status),
    }
}

/// The description of one status with a problem for its body.
pub(crate) fn response(status: u16) -> MetaResponse {
    let headers = match status {
        429 | 503 => vec![MetaHeader {
            name: "Retry-After".to_owned(),
            description: Some("How many seconds to wait before the next try.".to_owned()),
            required: true,
            deprecated: false,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("integer"))),
        }],
        _ => Vec::new(),
    };
    MetaResponse {
        description: description(status),
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: PROBLEM_JSON,
            schema: <Json<ProblemBody> as Payload>::schema_ref(),
        }],
        headers,
    }
}

fn description(status: u16) -> &'static str {
    match status {
        400 => "The request is not valid; `errors` names each parameter, header or field at fault.",
        404 => "Nothing is there under this id.",
        409 => "It conflicts with the current state; `type` and `detail` say what.",
        410 => "The collection ended long ago: its calls were deleted, and what is found by them.",
        413 => "The body is too large; `detail` says how much it may have.",
        415 => "The body is of no media type that this operation takes; `detail` names those.",
        422 => "The idempotency key was used before, with other parameters.",
        429 => "Too many calls; the limit is 30 in any second.",
        500 => "A fault of the service. Its log has the details under the request id that `instance` names.",
        503 => "The database cannot be reached for now.",
        _ => "",
    }
}
