use bytes::Bytes;
use futures_util::stream;
use poem::{
    Body, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};

use crate::{
    QueryError,
    problem::{PROBLEM_JSON, Problem},
};

/// What a caller gets, free of any transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A reply, sent whole.
    Whole(Reply),
    /// A reply of which only the first `sent_bytes` of the body arrive, under a head that announces all of
    /// it.
    CutOff {
        /// The whole reply.
        reply: Reply,
        /// How much of its body is sent before the connection drops.
        sent_bytes: usize,
    },
    /// No reply; the connection stays open until the caller gives up.
    Hang,
}

/// An HTTP reply with all that this system ever puts into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The header `Content-Type`: `application/json`, or `application/problem+json` for a status that is not
    /// 200.
    pub content_type: &'static str,
    /// The header `Retry-After` in whole seconds; with 429 only.
    pub retry_after_seconds: Option<u64>,
    /// Further headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body, UTF-8.
    pub body: Bytes,
}

impl Answer {
    /// Plays the answer over HTTP: does not return for [`Answer::Hang`], and for [`Answer::CutOff`] returns a
    /// response whose body fails after the first bytes, which makes the server drop the connection.
    pub async fn into_response(self) -> Response {
        match self {
            Self::Whole(reply) => {
                let body = Body::from_bytes(reply.body.clone());
                reply.head().body(body)
            }
            Self::CutOff { reply, sent_bytes } => {
                let announced = reply.body.len();
                let sent = reply.body.slice(..sent_bytes.min(announced));
                reply.head().header(header::CONTENT_LENGTH, announced).body(cut_off_after(sent))
            }
            Self::Hang => std::future::pending().await,
        }
    }
}

impl Reply {
    pub(crate) fn json(body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "application/json",
            retry_after_seconds: None,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// A value as JSON.
    pub(crate) fn value(status: StatusCode, body: &serde_json::Value) -> Self {
        Self { status, ..Self::json(body.to_string().into_bytes()) }
    }

    pub(crate) fn problem(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            content_type: PROBLEM_JSON,
            retry_after_seconds: None,
            headers: Vec::new(),
            body: Problem::new(status, detail).to_json().into(),
        }
    }

    pub(crate) fn too_many_requests(detail: impl Into<String>, retry_after_seconds: u64) -> Self {
        let problem = Self::problem(StatusCode::TOO_MANY_REQUESTS, detail);
        Self { retry_after_seconds: Some(retry_after_seconds), ..problem }
    }

    /// Adds a header. A value that no header can hold is left out.
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    fn head(&self) -> poem::ResponseBuilder {
        let mut head = Response::builder().status(self.status).content_type(self.content_type);
        if let Some(seconds) = self.retry_after_seconds {
            head = head.header(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in &self.headers {
            head = head.header(name, value);
        }
        head
    }
}

impl From<&QueryError> for Reply {
    /// The 400 that names the parameter.
    fn from(error: &QueryError) -> Self {
        let body = Problem::from(error).to_json().into();
        Self {
            status: StatusCode::BAD_REQUEST,
            content_type: PROBLEM_JSON,
            retry_after_seconds: None,
            headers: Vec::new(),
            body,
        }
    }
}

fn cut_off_after(sent: Bytes) -> Body {
    Body::from_bytes_stream(stream::unfold(Some(sent), |sent| async {
        match sent {
            Some(sent) => Some((Ok(sent), None)),
            None => {
                // The server flushes what it has only when the body makes it wait; without this the error
                // would come first, and not even the head would be sent.
                tokio::task::yield_now().await;
                Some((Err(std::io::Error::other("the body is cut off on purpose")), None))
            }
        }
    }))
}
