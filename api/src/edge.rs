use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Instant};

use futures_util::FutureExt;
use poem::{
    Endpoint, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderName, HeaderValue, Method, header},
};
use poem_openapi::{
    OperationId,
    error::{ParseParamError, ParsePathError},
};
use resume_queue::trace::with_traceparent;
use uuid::Uuid;

use crate::{
    problem::{Problem, ProblemType},
    surface::Surface,
    trace::traceparent,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every request passes: it gets an id, every error and panic becomes a problem, and those that are our
/// fault are logged, once.
pub(crate) struct Edge<E> {
    inner: E,
    surface: Arc<Surface>,
}

/// What poem-openapi says of a parameter that is not there.
const MISSING: &str = "expects an input value";

impl<E> Edge<E> {
    /// Wraps the whole of `inner`, which `surface` describes.
    pub(crate) fn new(inner: E, surface: Surface) -> Self {
        Self { inner, surface: Arc::new(surface) }
    }

    fn problem(&self, error: poem::Error) -> Problem {
        let operation = error.data::<OperationId>().map_or("", |id| id.0);
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            let mut fault = self.surface.bad_parameter(operation, error.name);
            if error.reason.contains(MISSING) {
                fault.detail = format!("is required: {}", fault.detail);
            }
            return Problem::invalid(vec![fault]);
        }
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            return Problem::invalid(vec![self.surface.bad_parameter(operation, error.name)]);
        }
        if error.is::<NotFoundError>() {
            return Problem::not_found("there is nothing under this path; /docs lists what there is");
        }
        if error.is::<MethodNotAllowedError>() {
            return Problem::new(ProblemType::MethodNotAllowed, "this path does not answer this method");
        }
        match error.downcast::<Problem>() {
            Ok(problem) => problem,
            Err(error) if error.status().is_server_error() => Problem::failure(Unexpected(error.to_string())),
            Err(error) => Problem::new(ProblemType::Blank(error.status()), error.to_string()),
        }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for Edge<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let start = Instant::now();
        let id = Uuid::now_v7();
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        if method == Method::HEAD {
            // The server sends the head of what GET gives, its length too, and leaves the body out.
            request.set_method(Method::GET);
        }
        let traceparent = traceparent(&request);
        let call = with_traceparent(Some(traceparent.clone()), self.inner.call(request));
        let problem = match AssertUnwindSafe(call).catch_unwind().await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.problem(error)),
            Err(panic) => {
                Err(Problem::failure(Unexpected(format!("a handler panicked: {}", message(&*panic)))))
            }
        };
        let mut response = problem.unwrap_or_else(|problem| {
            if problem.status().is_server_error() {
                let error = problem.causes().unwrap_or_default();
                tracing::error!(request_id = %id, %method, path, status = problem.status().as_u16(), error, "request failed");
            }
            problem.to_response(Some(format!("urn:uuid:{id}")))
        });
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            headers.insert(X_REQUEST_ID, id);
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if response.status() == 405
            && let Ok(methods) = HeaderValue::from_str(&self.surface.allow(&path))
        {
            response.headers_mut().insert(header::ALLOW, methods);
        }
        let (status, duration_ms) = (response.status().as_u16(), start.elapsed().as_secs_f64() * 1e3);
        tracing::debug!(request_id = %id, traceparent, %method, path, status, duration_ms, "request");
        Ok(response)
    }
}

/// A failure that has no type of its own.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unexpected(String);

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use poem::endpoint::make_sync;
    use serde_json::Value;

    use super::*;

    async fn reply(response: Response) -> (u16, Option<String>, Value) {
        let content_type = response.content_type().map(str::to_owned);
        let status = response.status().as_u16();
        (status, content_type, response.into_body().into_json().await.unwrap())
    }

    fn edge<E: Endpoint<Output = Response>>(inner: E) -> Edge<E> {
        Edge::new(inner, Surface::of(&Value::Null))
    }

    #[tokio::test]
    async fn a_panic_becomes_a_problem_that_tells_nothing() {
        let edge = edge(make_sync(|_| -> Response { panic!("the secret is 42") }));
        let (status, content_type, body) = reply(edge.call(Request::default()).await.unwrap()).await;
        assert_eq!((status, content_type.as_deref()), (500, Some("application/problem+json")));
        assert_eq!(body["type"], "urn:resume-service:problem:internal-error");
        assert!(!body.to_string().contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn an_error_of_a_stranger_becomes_a_problem() {
        for (given, kind) in [
            (poem::http::StatusCode::IM_A_TEAPOT, "about:blank"),
            (poem::http::StatusCode::BAD_GATEWAY, "urn:resume-service:problem:internal-error"),
        ] {
            let edge = edge(make_sync(move |_| -> poem::Result<Response> {
                Err(poem::Error::from_string("host db-7 said no", given))
            }));
            let (_, content_type, body) = reply(edge.call(Request::default()).await.unwrap()).await;
            assert_eq!(content_type.as_deref(), Some("application/problem+json"));
            assert_eq!(body["type"], kind);
            assert_eq!(body.to_string().contains("db-7"), kind == "about:blank", "{body}");
        }
    }
}
