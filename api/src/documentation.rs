//! The description of the API, for programs and for people.

use bytes::Bytes;
use poem::{Endpoint, IntoEndpoint, Response, Route, endpoint::make_sync, get, web::Redirect};
use poem_openapi::OpenApiService;

use crate::spec::Described;

/// The page brings its scripts and styles with it; this makes sure that it never asks anybody else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                      font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

/// Adds `/docs`, `/openapi.json`, `/openapi.yaml` and a redirect from `/`.
pub(crate) fn add_to(routes: Route, service: &OpenApiService<Described, ()>) -> Route {
    routes
        .at("/", get(make_sync(|_| Redirect::see_other("/docs"))))
        .at("/docs", get(page(service.swagger_ui_html())))
        .at("/openapi.json", get(text("application/json", service.spec())))
        .at("/openapi.yaml", get(text("application/yaml", service.spec_yaml())))
}

fn page(html: String) -> impl IntoEndpoint<Endpoint = impl Endpoint<Output = Response> + 'static> {
    let html = Bytes::from(html);
    make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header("Content-Security-Policy", POLICY)
            .body(html.clone())
    })
}

fn text(
    content_type: &'static str,
    text: String,
) -> impl IntoEndpoint<Endpoint = impl Endpoint<Output = Response> + 'static> {
    let text = Bytes::from(text);
    make_sync(move |_| Response::builder().content_type(content_type).body(text.clone()))
}
