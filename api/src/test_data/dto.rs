//! What goes over the wire. The mock writes it; the types here describe it.

use poem_openapi::{
    Object,
    types::{Any, Example},
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
pub(super) struct TestDataPage {
    /// The people: objects with `id`, `skills` and `work_experiences`. With `errors`, some are something
    /// else.
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
pub(super) struct JsonResumesPage {
    /// The documents.
    results: Vec<Any<Value>>,
    /// The address of the next page; null on the last one.
    #[oai(nullable)]
    next: Option<String>,
}
