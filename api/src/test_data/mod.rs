//! The mock source, for collecting from without one's own.

mod documented;
mod dto;

use mock_ats::{Answer, Face, PageQuery, QueryError};
use poem::{Request, Response, http::header};
use poem_openapi::OpenApi;

use self::{
    documented::Documented,
    dto::{JsonResumesReply, TestDataReply, count, page, per_page},
};
use crate::{
    problem::Problem,
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// The resource.
pub(crate) struct TestData(AppState);

struct TestDataRefusals;

impl Refusals for TestDataRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 429, 500];
}

impl TestData {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn answer(&self, face: Face, request: &Request) -> Result<Response, Problem> {
        let Some(ats) = &self.0.test_data else {
            return Err(Problem::not_found("test data is not served here; `demo` and `up` serve it"));
        };
        let pairs: Vec<(String, String)> = request.params().unwrap_or_default();
        let query = PageQuery::from_pairs(pairs)?;
        let answer: Answer = ats.answer(face, query, &base_url(request)).await;
        Ok(answer.into_response().await)
    }
}

// The parameters are there for the description. The mock reads them itself: it takes `True` from Python clients.
#[OpenApi(tag = "Tag::TestData")]
impl TestData {
    /// Get a page of made-up people
    ///
    /// Takes 50 to 200 ms, and refuses more than 30 calls in any second, both faces together. The same parameters give
    /// the same people. `next` is the address of the next page.
    #[oai(path = "/api/v1/test-data", method = "get", operation_id = "get_test_data")]
    async fn get_test_data(
        &self,
        request: &Request,
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
    ) -> Result<TestDataReply, Refused<TestDataRefusals>> {
        Ok(TestDataReply(self.answer(Face::TestData, request).await?))
    }

    /// Get a page of JSON Resumes
    ///
    /// Documents in the format of <https://jsonresume.org>, some of them real samples, with an `id` each. Otherwise as
    /// `get_test_data`.
    #[oai(path = "/api/v1/json-resumes", method = "get", operation_id = "get_json_resumes")]
    async fn get_json_resumes(
        &self,
        request: &Request,
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
    ) -> Result<JsonResumesReply, Refused<TestDataRefusals>> {
        Ok(JsonResumesReply(self.answer(Face::JsonResumes, request).await?))
    }
}

/// Scheme and host as the client wrote them.
fn base_url(request: &Request) -> String {
    let host = request.header(header::HOST).or_else(|| request.uri().authority().map(|host| host.as_str()));
    format!("{}://{}", request.scheme(), host.unwrap_or("localhost"))
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::invalid_field(error.field, format!("must be {}", error.expected))
    }
}
