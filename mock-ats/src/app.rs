use std::sync::Arc;

use poem::{
    Endpoint, EndpointExt, Request, Response, Route,
    endpoint::{BoxEndpoint, make},
    get,
    http::{StatusCode, header},
};

use crate::{Answer, Api, Ats, Call, Face, PageQuery, Reply};

/// The longest body that a call may have.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// The HTTP endpoint of a system: `GET` on the path of each [`Face`], and `GET /stats` with [`Ats::stats`] as
/// JSON, each with and without a trailing slash; and each [`Api`] under `/mock/<name>/`. Everything else is a
/// problem reply.
///
/// Parameters are those of [`PageQuery`]; bad ones get a 400 that names the field and do not count as calls.
/// Next links are absolute, built from the request's `Host`.
pub fn app(ats: Ats) -> BoxEndpoint<'static, Response> {
    let mut routes = Route::new();
    for face in Face::ALL {
        // The endpoint is shared by both spellings of the path.
        let endpoint = Arc::new(get(face_endpoint(ats.clone(), face)));
        routes = routes.at(face.path(), endpoint.clone()).at(format!("{}/", face.path()), endpoint);
    }
    routes = routes.at("/mock/:name/*path", make_api(ats.clone()));
    let stats = Arc::new(get(stats_endpoint(ats)));
    routes.at("/stats", stats.clone()).at("/stats/", stats).catch_all_error(to_problem).boxed()
}

fn face_endpoint(ats: Ats, face: Face) -> impl Endpoint<Output = Response> {
    make(move |request: Request| {
        let ats = ats.clone();
        async move {
            let pairs: Vec<(String, String)> = request.params()?;
            let answer = match PageQuery::from_pairs(pairs) {
                Ok(query) => ats.answer(face, query, &base_url(&request)).await,
                Err(error) => Answer::Whole(Reply::from(&error)),
            };
            Ok::<_, poem::Error>(answer.into_response().await)
        }
    })
}

fn make_api(ats: Ats) -> impl Endpoint<Output = Response> {
    make(move |mut request: Request| {
        let ats = ats.clone();
        async move {
            let name = request.raw_path_param("name").unwrap_or_default();
            let Some(api) = Api::ALL.into_iter().find(|api| api.name() == name) else {
                return Err(StatusCode::NOT_FOUND.into());
            };
            let body = request.take_body().into_bytes_limit(BODY_MAX_BYTES).await?;
            let path = format!("/{}", request.raw_path_param("path").unwrap_or_default());
            let call = Call {
                method: request.method().clone(),
                url: request.original_uri().to_string(),
                base_url: format!("{}/mock/{}", base_url(&request), api.name()),
                path,
                query: request.params()?,
                headers: request.headers().clone(),
                body,
            };
            Ok::<_, poem::Error>(ats.answer_call(api, &call).await.into_response().await)
        }
    })
}

fn stats_endpoint(ats: Ats) -> impl Endpoint<Output = Response> {
    make(move |_| {
        let stats = ats.stats();
        async move {
            let body = serde_json::to_vec(&stats).map_err(poem::error::InternalServerError)?;
            Ok::<_, poem::Error>(Answer::Whole(Reply::json(body)).into_response().await)
        }
    })
}

/// Scheme and host as the client wrote them; the local address for a client of HTTP/1.0 that sent no `Host`.
fn base_url(request: &Request) -> String {
    let host = request.header(header::HOST).or_else(|| request.uri().authority().map(|host| host.as_str()));
    let scheme = request.scheme();
    match host {
        Some(host) => format!("{scheme}://{host}"),
        None => match request.local_addr().as_socket_addr() {
            Some(address) => format!("{scheme}://{address}"),
            None => format!("{scheme}://localhost"),
        },
    }
}

async fn to_problem(error: poem::Error) -> Response {
    let status = error.status();
    let detail = match status {
        StatusCode::NOT_FOUND => String::from("there is nothing under this path"),
        StatusCode::METHOD_NOT_ALLOWED => String::from("this path answers GET only"),
        _ => error.to_string(),
    };
    Answer::Whole(Reply::problem(status, detail)).into_response().await
}
