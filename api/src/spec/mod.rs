//! The description of the API, in terms of `OpenAPI` 3.0.

mod mend;

use std::collections::HashMap;

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    LicenseObject, OpenApi, OpenApiService, ServerObject, Tags,
    registry::{MetaApi, Registry},
};
use serde_json::Value;

use crate::{
    attachments::Attachments, calls::Calls, collections::Collections, documents::Documents, health::Health,
    imports::Imports, jobs::Jobs, maintenance::Maintenance, metrics::Metrics, people::People,
    problem::ProblemType, queues::Queues, resumes::Resumes, schedules::Schedules, sources::Sources,
    state::AppState, test_data::TestData, workers::Workers,
};

/// Every resource, in the order of the description.
type Apis = (
    Collections,
    Imports,
    Sources,
    Resumes,
    People,
    Attachments,
    Documents,
    Calls,
    Schedules,
    Jobs,
    Queues,
    Workers,
    Maintenance,
    TestData,
    Health,
    Metrics,
);

const DESCRIPTION: &str = "Collects resumes from slow, paginated, rate-limited sources, keeps what it got, parses it and \
makes it searchable by skill.\n\nEvery path works with and without a trailing slash. Errors are problems after RFC 9457, \
`application/problem+json`. Lists and searches are read page by page: give the \
`next_cursor` of a reply as `cursor` to get the next page. Every reply has the header `X-Request-Id`.\n\nThe `type` of a problem is one of these, or \
`about:blank` where the status says it all:\n\n";

/// The groups of operations.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Collecting resumes from a source, and how far that is.
    #[oai(rename = "Data collection")]
    Collections,
    /// The systems that resumes are collected from, described by their definitions.
    Sources,
    /// The parsed resumes.
    Resumes,
    /// What makes jobs by the clock: by a cron expression in a time zone, or once.
    Schedules,
    /// The background jobs: what they are, why they wait, and what can be done about it.
    Jobs,
    /// The queues of jobs: what they hold, pausing, limits, and how many workers they want.
    Queues,
    /// The processes that run the jobs.
    Workers,
    /// The upkeep of the queue, which one worker, the leader, does for all.
    Maintenance,
    /// A made-up source to try things with. Served by `demo` and `up`; elsewhere 404.
    #[oai(rename = "Test data")]
    TestData,
    /// For load balancers and orchestrators.
    Health,
}

/// The description as YAML: the text of `openapi.yaml`.
pub fn spec_yaml() -> String {
    service(None).spec_yaml()
}

/// The description as JSON.
pub(crate) fn document() -> Value {
    serde_json::from_str(&service(None).spec()).unwrap_or_default()
}

/// All operations, with the state that they need; without one for describing them only.
pub(crate) fn service(state: Option<AppState>) -> OpenApiService<Described, ()> {
    let apis = state.map(|state| {
        (
            Collections::new(state.clone()),
            Imports::new(state.clone()),
            Sources::new(state.clone()),
            Resumes::new(state.clone()),
            People::new(state.clone()),
            Attachments::new(state.clone()),
            Documents::new(state.clone()),
            Calls::new(state.clone()),
            Schedules::new(state.clone()),
            Jobs::new(state.clone()),
            Queues::new(state.clone()),
            Workers::new(state.clone()),
            Maintenance::new(state.clone()),
            TestData,
            Health::new(state.clone()),
            Metrics::new(state),
        )
    });
    OpenApiService::new(Described(apis), "Resume Service", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION.to_owned() + &ProblemType::list())
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")))
        .server(ServerObject::new("/"))
}

/// The operations with what poem-openapi says of them put right.
pub(crate) struct Described(Option<Apis>);

impl OpenApi for Described {
    fn meta() -> Vec<MetaApi> {
        let mut apis = Apis::meta();
        let paths = apis.iter_mut().flat_map(|api| &mut api.paths);
        paths.flat_map(|path| &mut path.operations).for_each(mend::operation);
        apis
    }

    fn register(registry: &mut Registry) {
        Apis::register(registry);
        registry.schemas.values_mut().for_each(mend::schema);
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        if let Some(apis) = self.0 {
            apis.add_routes(routes);
        }
    }
}
