use std::sync::Arc;

use poem::{
    EndpointExt, IntoEndpoint, Response, Route,
    endpoint::BoxEndpoint,
    middleware::{NormalizePath, TrailingSlash},
};

use poem_openapi::OpenApiService;
use resume_core::db::PgPool;

use crate::{
    documentation, edge::Edge, health::Health, metrics::Metrics, spec, state::AppState, surface::Surface,
};

/// The whole HTTP interface, to be served with [`Bound::serve`](crate::Bound::serve).
pub type App = BoxEndpoint<'static, Response>;

/// What a mock system answers, where one is served beside the interface: the test data, and all under
/// `/mock/`.
const OF_MOCK: [&str; 3] = ["/api/v1/test-data", "/api/v1/json-resumes", "/mock/*rest"];

/// Puts the interface together, with a mock system if one is given. Opens no connection: without a database
/// it starts, and says 503 where it needs one.
pub fn app(state: AppState, mock: Option<App>) -> App {
    let service = spec::service(Some(state));
    let pages = documentation::add_to(Route::new(), &service);
    let operations = Arc::new(service.into_endpoint());
    // Not all with one `nest`, which would take `/` too.
    let mut routes = pages
        .at("/api/*path", operations.clone())
        .at("/healthz", operations.clone())
        .at("/metrics", operations.clone())
        .at("/readyz", operations);
    if let Some(mock) = mock.map(Arc::new) {
        routes = OF_MOCK.into_iter().fold(routes, |routes, path| routes.at(path, mock.clone()));
    }
    let trimmed = routes.with(NormalizePath::new(TrailingSlash::Trim));
    Edge::new(trimmed, Surface::of(&spec::document())).boxed()
}

/// `/metrics`, `/healthz` and `/readyz` alone, for a worker process.
pub fn metrics_app(pool: PgPool) -> App {
    let state = AppState { pool, erasure_key: None, dry_calls: None };
    let service = OpenApiService::new((Metrics::new(state.clone()), Health::new(state)), "Worker", "");
    let trimmed = Route::new().nest("/", service).with(NormalizePath::new(TrailingSlash::Trim));
    Edge::new(trimmed, Surface::of(&spec::document())).boxed()
}
