//! What goes over the wire. The mock writes it; the types here only describe it.

use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse, Object,
    payload::{Json, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::{Any, Example, Type},
};
use serde_json::{Value, json};

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
#[oai(example)]
struct TestDataPage {
    /// The people: objects with `id`, `skills` and `work_experiences`. With `errors`, some are something else.
    results: Vec<Any<Value>>,
    /// The address of the next page; null on the last one.
    #[oai(nullable)]
    next: Option<String>,
}

impl Example for TestDataPage {
    fn example() -> Self {
        let person = json!({
            "id": "0-1",
            "skills": ["Project Management", "Node.js"],
            "work_experiences": [{
                "company": "Acme Corp",
                "title": "Front-end Developer",
                "start_date": "2023-05-01",
                "end_date": null,
                "description": "Cut page load from four seconds to one.",
            }],
        });
        let next = "http://127.0.0.1:8000/api/v1/test-data?count=100&per_page=1&page=3&errors=false&seed=0";
        Self { results: vec![Any(person)], next: Some(next.to_owned()) }
    }
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
