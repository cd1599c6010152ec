//! What goes over the wire. The mock writes it; the types here only describe it.

use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Any, Type},
};
use serde_json::Value;

/// How many people there are unless told otherwise.
pub(super) fn count() -> u32 {
    100
}

/// How many people a page has unless told otherwise.
pub(super) fn per_page() -> u32 {
    10
}

/// The page unless told otherwise.
pub(super) fn page() -> u32 {
    1
}

/// A page of made-up people.
#[derive(Object)]
struct TestDataPage {
    /// The people.
    results: Vec<TestDataItem>,
    /// The address of the next page; null on the last one.
    #[oai(nullable)]
    next: Option<String>,
}

/// A made-up person. With `errors`, some lack a field or have one of another type.
#[derive(Object)]
struct TestDataItem {
    /// The id: seed and number.
    id: Option<Any<Value>>,
    /// The names of the skills.
    skills: Option<Any<Value>>,
    /// The jobs, the newest first.
    work_experiences: Option<Any<Value>>,
}

/// A page of JSON Resumes.
#[derive(Object)]
struct JsonResumesPage {
    /// The documents.
    results: Vec<Any<Value>>,
    /// The address of the next page; null on the last one.
    #[oai(nullable)]
    next: Option<String>,
}

/// The reply of the face of made-up people.
pub(super) struct TestDataReply(pub(super) Response);

/// The reply of the face of JSON Resumes.
pub(super) struct JsonResumesReply(pub(super) Response);

impl IntoResponse for TestDataReply {
    fn into_response(self) -> Response {
        self.0
    }
}

impl IntoResponse for JsonResumesReply {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for TestDataReply {
    fn meta() -> MetaResponses {
        described::<TestDataPage>()
    }

    fn register(registry: &mut Registry) {
        TestDataPage::register(registry);
    }
}

impl ApiResponse for JsonResumesReply {
    fn meta() -> MetaResponses {
        described::<JsonResumesPage>()
    }

    fn register(registry: &mut Registry) {
        JsonResumesPage::register(registry);
    }
}

fn described<T: Type>() -> MetaResponses {
    let content =
        MetaMediaType { content_type: "application/json", schema: <Json<T> as Payload>::schema_ref() };
    let response = MetaResponse {
        description: "The page.",
        status: Some(200),
        status_range: None,
        content: vec![content],
        headers: Vec::new(),
    };
    MetaResponses { responses: vec![response] }
}
