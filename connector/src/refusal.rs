use std::time::Duration;

use reqwest::{
    Response, StatusCode, Url,
    header::{HeaderMap, LOCATION},
};
use resume_core::source::definition::{Definition, Refusal, SILENCE_USUAL};

use crate::{
    CallError,
    announced::{announced, is_exhausted},
    body::{BEGINNING_BYTES_MAX, beginning},
    home::shown_host,
    token::Loan,
    wait::retry_after,
};

/// Statuses that mean too many calls, whoever sends them: 429, 420 and 430 as some call it, 509 when the
/// bandwidth is used up, 529 when the system is overloaded.
const STATUSES: [u16; 5] = [420, 429, 430, 509, 529];
/// Statuses that say enough, whatever the headers tell: who asks, or what is asked for, is not known.
const OTHERS: [u16; 4] = [401, 404, 407, 410];
/// What the body of a 403 says, letters alone, when it means too many calls.
const TEXTS: [&str; 6] =
    ["ratelimit", "toomanyrequests", "toomanycalls", "quotaexceeded", "requestlimit", "throttl"];

/// What a refusal without a wait asks for.
const WAIT_DEFAULT: Duration = Duration::from_secs(1);

/// Tells the answers that refuse a call as one too many.
#[derive(Default)]
pub(crate) struct Refusals(Vec<Refusal>);

impl Refusals {
    pub(crate) fn of(definition: &Definition) -> Self {
        Self(definition.refusals.clone())
    }

    /// Why there is nothing in an answer other than 200, and the beginning of its body, which is read where
    /// the reason may stand in it; `is_telling`: for the caller, too.
    pub(crate) async fn judge(
        &self,
        response: &mut Response,
        (loan, is_telling): (Option<&Loan>, bool),
        bytes: &mut u64,
    ) -> (CallError, Vec<u8>) {
        let status = response.status();
        if is_known_by_head(response) {
            return (limited(response), Vec::new());
        }
        let is_asked =
            self.0.iter().any(|refusal| refusal.status == status.as_u16() && refusal.text.is_some());
        let is_read = is_telling || is_asked || status == StatusCode::FORBIDDEN;
        let body = if is_read { beginning(response, bytes).await } else { Vec::new() };
        let error = if self.is_known_by_body(status, &body) {
            limited(response)
        } else if let Some(loan) = loan
            && loan.is_to_blame(status).await
        {
            CallError::TokenExpired
        } else {
            refused(response)
        };
        (error, body)
    }
    /// Whether an answer is a refusal by what it says. One of 200 is asked about when there is no page in it.
    pub(crate) fn is_known_by_body(&self, status: StatusCode, body: &[u8]) -> bool {
        let body = String::from_utf8_lossy(&body[..body.len().min(BEGINNING_BYTES_MAX)]);
        let plain =
            || body.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        self.0.iter().any(|refusal| refusal.is(status.as_u16(), &body))
            || status == StatusCode::FORBIDDEN && TEXTS.iter().any(|text| plain().contains(text))
    }
}

fn is_known_by_head(response: &Response) -> bool {
    let (status, headers) = (response.status(), response.headers());
    let may_wait = status.is_client_error() && !OTHERS.contains(&status.as_u16());
    STATUSES.contains(&status.as_u16())
        || (may_wait || status == StatusCode::SERVICE_UNAVAILABLE) && retry_after(headers).is_some()
        || status == StatusCode::FORBIDDEN && is_exhausted(headers)
}

/// Why there is nothing in an answer that is no success, by its head.
fn refused(response: &Response) -> CallError {
    let status = response.status();
    let retry_after = retry_after(response.headers()).map(|wait| wait.min(SILENCE_USUAL));
    match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => {
            CallError::Redirected { status, host: redirected_to(response.url(), response.headers()) }
        }
        _ => CallError::Status { status, retry_after },
    }
}

fn redirected_to(url: &Url, headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| url.join(value.to_str().ok()?).ok());
    location.map_or_else(|| "no address".to_owned(), |location| shown_host(&location))
}

/// The refusal of a call as one too many, with the wait that its headers ask for.
pub(crate) fn limited(response: &Response) -> CallError {
    let announced = announced(response.headers(), true);
    CallError::RateLimited(announced.retry_after.or(announced.exhausted_for).unwrap_or(WAIT_DEFAULT))
}
