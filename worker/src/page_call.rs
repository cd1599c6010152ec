use std::time::{Duration, SystemTime};

use reqwest::{StatusCode, Url, header::RETRY_AFTER};
use resume_core::{
    collection::{FetchedPage, PageToFetch},
    parsing::Format,
    raw::NewRawDocument,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest page that is read: a thousand resumes of 16 KiB.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest next link: what servers accept in a request line, mostly (RFC 9112, section 3, asks for 8000).
const LINK_BYTES_MAX: usize = 8 * 1024;
/// What a 429 without `Retry-After` asks for.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// The longest `Retry-After` that is obeyed; what asks for more is asked again then.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// Why a call brought no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The source's rate limit.
    #[error("the source refuses calls for {0:?} (429)")]
    RateLimited(Duration),
    /// An answer other than 200.
    #[error("the source answered {status}")]
    Status { status: StatusCode, retry_after: Option<Duration> },
    /// No answer within the time-outs.
    #[error("the source did not answer in time")]
    Timeout(#[source] reqwest::Error),
    /// No connection, or one that broke.
    #[error("the call failed")]
    Transport(#[source] reqwest::Error),
    /// Over [`PAGE_BYTES_MAX`].
    #[error("the page has more than {PAGE_BYTES_MAX} bytes: ask for fewer items a page")]
    TooLarge,
    /// The body is no JSON.
    #[error("the page is not valid JSON")]
    InvalidJson(#[source] serde_json::Error),
    /// The body is JSON of another shape.
    #[error("the page is not of the form {{\"results\": [..], \"next\": link or null}}")]
    InvalidShape(#[source] serde_json::Error),
    /// The next page is said to be on another host.
    #[error("the next link leads to another host, or carries credentials: {0}")]
    ForeignLink(String),
    /// The address is none.
    #[error("the address of the page is invalid: {0}")]
    InvalidUrl(String),
}

impl CallError {
    /// A stable code; `None` for the rate limit, which is no failure.
    pub(crate) fn code(&self) -> Option<String> {
        Some(match self {
            Self::RateLimited(_) => return None,
            Self::Status { status, .. } => format!("source_http_{}", status.as_u16()),
            Self::Timeout(_) => "source_timeout".to_owned(),
            Self::Transport(_) => "source_unreachable".to_owned(),
            Self::TooLarge => "page_too_large".to_owned(),
            Self::InvalidJson(_) => "page_invalid_json".to_owned(),
            Self::InvalidShape(_) => "page_invalid_shape".to_owned(),
            Self::ForeignLink(_) => "next_link_foreign".to_owned(),
            Self::InvalidUrl(_) => "page_invalid_url".to_owned(),
        })
    }

    /// Whether the same call may succeed later. Of the 4xx only those that speak of time.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => !status.is_client_error() || matches!(status.as_u16(), 408 | 425),
            Self::TooLarge | Self::ForeignLink(_) | Self::InvalidUrl(_) => false,
            _ => true,
        }
    }
}

/// Makes one call to a source: the page's items, verbatim, and the link to the next page.
///
/// Reads at most [`PAGE_BYTES_MAX`], decompressed. The caller has the pacer's leave.
pub(crate) async fn call(http: &reqwest::Client, page: &PageToFetch) -> Result<FetchedPage, CallError> {
    let url = Url::parse(&page.url).map_err(|e| CallError::InvalidUrl(e.to_string()))?;
    let response = http.get(url.clone()).send().await.map_err(transport)?;
    let retry_after =
        response.headers().get(RETRY_AFTER).and_then(|value| parse_retry_after(value.to_str().ok()?));
    match response.status() {
        StatusCode::OK => {}
        StatusCode::TOO_MANY_REQUESTS => {
            return Err(CallError::RateLimited(retry_after.unwrap_or(RETRY_AFTER_DEFAULT)));
        }
        status => return Err(CallError::Status { status, retry_after }),
    }
    let body = read(response).await?;
    let format = page.source.format;
    // Splitting and hashing a megabyte takes milliseconds: not on a thread that others wait for.
    let decoding = tokio::task::spawn_blocking(move || decode(format, &body));
    let mut fetched = match decoding.await {
        Ok(decoded) => decoded?,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    if let Some(link) = fetched.next.take() {
        fetched.next = Some(next_link(&url, &link)?);
    }
    Ok(fetched)
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(transport)? {
        if body.len() + chunk.len() > PAGE_BYTES_MAX {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    results: Vec<&'a RawValue>,
    next: Option<String>,
}

/// Splits a page into its items without changing a byte of them.
fn decode(format: Format, body: &[u8]) -> Result<FetchedPage, CallError> {
    let page: Page<'_> = serde_json::from_slice(body)
        .map_err(|e| if e.is_data() { CallError::InvalidShape(e) } else { CallError::InvalidJson(e) })?;
    let items = page.results.iter().map(|item| NewRawDocument::new(format, item.get().as_bytes())).collect();
    Ok(FetchedPage { items, next: page.next })
}

/// The absolute form of a next link, which must stay on the source's scheme, host and port: it comes from outside, and
/// could point at anything that this process can reach.
fn next_link(current: &Url, link: &str) -> Result<String, CallError> {
    if link.len() > LINK_BYTES_MAX {
        return Err(CallError::InvalidUrl(format!(
            "the next link has {} bytes, the most is {LINK_BYTES_MAX}",
            link.len()
        )));
    }
    let next = current.join(link).map_err(|e| CallError::InvalidUrl(format!("the next link: {e}")))?;
    // A name or a password in a link would be sent, and stored in clear.
    if next.origin() != current.origin() || !next.username().is_empty() || next.password().is_some() {
        return Err(CallError::ForeignLink(next.host_str().unwrap_or_default().to_owned()));
    }
    Ok(next.to_string())
}

fn transport(error: reqwest::Error) -> CallError {
    // The address may hold what is nobody's business, and the texts of errors are shown.
    let error = error.without_url();
    if error.is_timeout() { CallError::Timeout(error) } else { CallError::Transport(error) }
}

/// Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3).
fn parse_retry_after(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            httpdate::parse_http_date(value).ok()?.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_kept_verbatim() {
        let body = br#"{"results": [ {"id" : "1",  "skills":[]}, 7 ], "next": null, "more": {}}"#;
        let page = decode(Format::Profile, body).unwrap();
        let bodies: Vec<&[u8]> = page.items.iter().map(|item| item.body.as_slice()).collect();
        assert_eq!(bodies, [br#"{"id" : "1",  "skills":[]}"#.as_slice(), b"7"]);
        assert_eq!(page.items[0].external_id.as_deref(), Some("1"));
        assert_eq!(page.items[1].external_id, None);
    }

    #[test]
    fn broken_pages_are_told_apart() {
        for (body, code) in [
            ("", "page_invalid_json"),
            ("<html>", "page_invalid_json"),
            (r#"{"results": ["#, "page_invalid_json"),
            (r#"{"results": []"#, "page_invalid_json"),
            ("[]", "page_invalid_shape"),
            (r#"{"results": {}}"#, "page_invalid_shape"),
            (r#"{"next": null}"#, "page_invalid_shape"),
            (r#"{"results": [], "next": 3}"#, "page_invalid_shape"),
        ] {
            let error = decode(Format::Profile, body.as_bytes()).unwrap_err();
            assert_eq!(error.code().as_deref(), Some(code), "{body}");
        }
    }

    #[test]
    fn next_links_stay_on_the_host() {
        let current = Url::parse("http://ats.example:8001/v1/people?page=1").unwrap();
        assert_eq!(next_link(&current, "?page=2").unwrap(), "http://ats.example:8001/v1/people?page=2");
        assert_eq!(next_link(&current, "http://ats.example:8001/x").unwrap(), "http://ats.example:8001/x");
        for foreign in [
            "http://evil.example/",
            "https://ats.example:8001/",
            "//evil.example/x",
            "http://me:secret@ats.example:8001/x",
        ] {
            let error = next_link(&current, foreign).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("next_link_foreign"), "{foreign}");
        }
    }

    #[test]
    fn next_links_have_a_limit() {
        let current = Url::parse("http://ats.example:8001/v1/people?page=1").unwrap();
        for invalid in [format!("?page={}", "2".repeat(LINK_BYTES_MAX)), "http://[".to_owned()] {
            let error = next_link(&current, &invalid).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("page_invalid_url"));
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse_retry_after("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_retry_after("99999999"), Some(RETRY_AFTER_MAX));
        assert_eq!(parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse_retry_after("soon"), None);
        assert_eq!(parse_retry_after("-1"), None);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = parse_retry_after(&soon).unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
    }
}
