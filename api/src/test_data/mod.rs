//! What a mock system serves beside the API, for collecting without a source of one's own.

mod documented;
mod dto;

use poem_openapi::{OpenApi, payload::Json};

use self::{
    documented::Documented,
    dto::{JsonResumesPage, TestDataPage, count, page, per_page},
};
use crate::{
    problem::Problem,
    refused::{Refusals, Refused},
    spec::Tag,
};

/// The resource where nobody answers it: a mock system that is served stands before it, see
/// [`app`](crate::app).
pub(crate) struct TestData;

struct TestDataRefusals;

impl Refusals for TestDataRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 429, 500];
}

fn not_served() -> Problem {
    Problem::not_found("test data is not served here; `demo` and `up` serve it")
}

// It is all there for the description. The mock reads the parameters itself: it takes `True` from Python
// clients.
#[OpenApi(tag = "Tag::TestData")]
impl TestData {
    /// Get a page of made-up people
    ///
    /// Takes 50 to 200 ms, and refuses more than 30 calls in any second, both faces together. The same
    /// parameters give the same people. `next` is the address of the next page.
    #[oai(path = "/api/v1/test-data", method = "get", operation_id = "get_test_data")]
    async fn get_test_data(
        &self,
        /// How many people there are on all pages.
        #[oai(
            name = "count",
            default = "count",
            validator(minimum(value = "1"), maximum(value = "1000000"))
        )]
        _count: Documented<u32>,
        /// How many people a page has.
        #[oai(
            name = "per_page",
            default = "per_page",
            validator(minimum(value = "1"), maximum(value = "1000"))
        )]
        _per_page: Documented<u32>,
        /// Which page, from 1.
        #[oai(
            name = "page",
            default = "page",
            validator(minimum(value = "1"), maximum(value = "4294967295"))
        )]
        _page: Documented<u32>,
        /// Whether about one person in five cannot be parsed.
        #[oai(name = "errors", default)]
        _errors: Documented<bool>,
        /// Which people.
        #[oai(name = "seed", default, validator(minimum(value = "0")))]
        _seed: Documented<u64>,
    ) -> Result<Json<TestDataPage>, Refused<TestDataRefusals>> {
        Err(not_served().into())
    }

    /// Get a page of JSON Resumes
    ///
    /// Documents in the format of <https://jsonresume.org>, some of them real samples, with an `id` each.
    /// Otherwise as `get_test_data`.
    #[oai(path = "/api/v1/json-resumes", method = "get", operation_id = "get_json_resumes")]
    async fn get_json_resumes(
        &self,
        /// How many resumes there are on all pages.
        #[oai(
            name = "count",
            default = "count",
            validator(minimum(value = "1"), maximum(value = "1000000"))
        )]
        _count: Documented<u32>,
        /// How many resumes a page has.
        #[oai(
            name = "per_page",
            default = "per_page",
            validator(minimum(value = "1"), maximum(value = "1000"))
        )]
        _per_page: Documented<u32>,
        /// Which page, from 1.
        #[oai(
            name = "page",
            default = "page",
            validator(minimum(value = "1"), maximum(value = "4294967295"))
        )]
        _page: Documented<u32>,
        /// Whether about one resume in five cannot be parsed.
        #[oai(name = "errors", default)]
        _errors: Documented<bool>,
        /// Which resumes.
        #[oai(name = "seed", default, validator(minimum(value = "0")))]
        _seed: Documented<u64>,
    ) -> Result<Json<JsonResumesPage>, Refused<TestDataRefusals>> {
        Err(not_served().into())
    }
}
