use std::time::{Duration, Instant};

use reqwest::{
    Request, Response, StatusCode,
    header::{HeaderMap, LINK},
};
use resume_core::source::definition::Paging;

use crate::{
    CallError, Page,
    body::{PAGE_BYTES_MAX, Packing, receive},
    client::Http,
    home::Home,
    link_header::{Malformed, next_target},
    page::Shape,
    refusal::{Refusals, limited},
    token::Loan,
};

/// One call to a source, ready to be made.
pub struct Call {
    pub(crate) http: Http,
    pub(crate) request: Request,
    pub(crate) home: Home,
    pub(crate) shape: Shape,
    /// What the page before gave for this one.
    pub(crate) link: Option<String>,
    pub(crate) refusals: Refusals,
    pub(crate) loan: Option<Loan>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Answer<T = Page> {
    /// The page, or why there is none.
    pub result: Result<T, CallError>,
    /// The status, where there was an answer.
    pub status: Option<u16>,
    /// The headers of the answer; empty without one.
    pub headers: HeaderMap,
    /// Bytes of the body, as they came over the wire.
    pub bytes: u64,
    /// From the call to the end of the answer and the reading of the page.
    pub took: Duration,
}

impl Call {
    /// Makes the call: one request, and no other whatever it answers. Reads at most [`PAGE_BYTES_MAX`].
    pub async fn send(mut self) -> Answer {
        let begun = Instant::now();
        self.loan.iter_mut().for_each(|loan| loan.renew(&mut self.request));
        let (mut status, mut headers, mut bytes) = (None, HeaderMap::new(), 0);
        let result = match self.http.execute(self.request).await {
            Ok(response) => {
                status = Some(response.status().as_u16());
                headers = response.headers().clone();
                let Self { home, shape, link, refusals, loan, .. } = self;
                Reading { home, shape, link, refusals, loan, bytes: &mut bytes }.page(response).await
            }
            Err(error) => Err(error),
        };
        Answer { result, status, headers, bytes, took: begun.elapsed() }
    }
}

impl<T> Answer<T> {
    /// Whether no answer came, or not to its end.
    pub fn is_broken(&self) -> bool {
        use CallError::{ProxyUnreachable, Timeout, Transport};
        matches!(self.result, Err(Timeout(_) | Transport(_) | ProxyUnreachable { .. }))
    }
}

impl Answer {
    /// What goes wrong before the source is asked.
    pub(crate) fn without_call(error: CallError) -> Self {
        Self { result: Err(error), status: None, headers: HeaderMap::new(), bytes: 0, took: Duration::ZERO }
    }
}

/// The reading of an answer.
struct Reading<'b> {
    home: Home,
    shape: Shape,
    link: Option<String>,
    refusals: Refusals,
    loan: Option<Loan>,
    bytes: &'b mut u64,
}

impl Reading<'_> {
    async fn page(self, mut response: Response) -> Result<Page, CallError> {
        match response.status() {
            StatusCode::OK
            | StatusCode::CREATED
            | StatusCode::NON_AUTHORITATIVE_INFORMATION
            | StatusCode::PARTIAL_CONTENT => {}
            StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT => return Ok(Page::default()),
            _ => return Err(self.refusal(response).await),
        }
        let packing = Packing::of(response.headers())?;
        let body = receive(&mut response, PAGE_BYTES_MAX, self.bytes).await?;
        if let Some(loan) = &self.loan {
            loan.is_good();
        }
        let (shape, refusals) = (self.shape, self.refusals);
        // Unpacking, splitting and hashing a megabyte takes milliseconds: not on a thread that others wait
        // for.
        let decoding = tokio::task::spawn_blocking(move || {
            let (page, is_refused) = match packing.unpack(body) {
                Ok(body) => {
                    let page = shape.decode(&body);
                    let is_refused = page.is_err() && refusals.is_known_by_body(StatusCode::OK, &body);
                    (page, is_refused)
                }
                Err(error) => (Err(error), false),
            };
            (shape, page, is_refused)
        });
        let (shape, decoded, is_refused) = match decoding.await {
            Ok(decoded) => decoded,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        if is_refused {
            return Err(limited(&response));
        }
        let mut page = decoded?;
        let follow = |link: String| self.home.follow(response.url(), &link).map(String::from);
        page.next = match shape.paging() {
            Paging::NextUrl { .. } => page.next.map(follow).transpose()?,
            Paging::LinkHeader { .. } => linked(response.headers())?.map(follow).transpose()?,
            Paging::Numbered { .. } | Paging::Cursor { .. } | Paging::Single {} => page.next,
        };
        let asked = match shape.paging() {
            Paging::Cursor { first, .. } => self.link.as_deref().or(first.as_deref()),
            _ => Some(response.url().as_str()),
        };
        // Where a list has ended, some systems answer with the position that they were asked for.
        if page.items.is_empty() && page.next.as_deref() == asked {
            page.next = None;
        }
        Ok(page)
    }

    /// Why there is no page in an answer that is no success.
    async fn refusal(self, mut response: Response) -> CallError {
        let is_telling = response.status().is_client_error() && self.shape.has_expiry_codes();
        let about = (self.loan.as_ref(), is_telling);
        let (error, body) = self.refusals.judge(&mut response, about, self.bytes).await;
        // A body that is too long or cut off says no more than its status.
        match self.shape.expiry_code(&body).filter(|_| is_telling) {
            Some(code) if matches!(error, CallError::Status { .. }) => CallError::CursorExpired { code },
            _ => error,
        }
    }
}

/// The target of the link to the next page in the headers.
fn linked(headers: &HeaderMap) -> Result<Option<String>, CallError> {
    for field in headers.get_all(LINK) {
        let target = std::str::from_utf8(field.as_bytes()).map_err(|_| Malformed).and_then(next_target);
        let malformed = |_| CallError::InvalidShape {
            at: "Link".to_owned(),
            expected: "a header as in RFC 8288",
            found: "something else",
        };
        if let Some(target) = target.map_err(malformed)? {
            return Ok(Some(target.to_owned()));
        }
    }
    Ok(None)
}
