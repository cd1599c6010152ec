//! The tokens of token endpoints: RFC 6749, section 4.4.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Client, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderValue},
};
use resume_core::source::definition::{Auth, Secret};
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use crate::{
    CallError, TokenError,
    body::receive,
    client::Clients,
    home::shown_host,
    secret::{SecretText, Secrets},
};

/// The largest answer of a token endpoint: some KiB for the largest tokens.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is used whose endpoint does not say how long it is good for.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
/// The longest time that a token is used.
const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a token is not used any more, since clocks and calls take their time; a tenth of the lifetime
/// where that is less.
const MARGIN_MAX: Duration = Duration::from_secs(30);

/// Where a token comes from.
pub(crate) struct Endpoint<'a> {
    pub(crate) url: &'a str,
    pub(crate) client_id: &'a Secret,
    pub(crate) client_secret: &'a Secret,
    pub(crate) secrets: &'a Secrets,
    pub(crate) scope: Option<&'a str>,
    pub(crate) allow_private_network: bool,
}

/// The tokens of this process: one for each proof of each source, until shortly before it expires.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<(String, usize), SharedSlot>>);

type SharedSlot = Arc<tokio::sync::Mutex<Slot>>;

#[derive(Default)]
struct Slot {
    /// What the token was fetched for: a definition that was changed has another one.
    auth: Option<Auth>,
    token: Option<Token>,
    /// When the last fetch failed, and how: those who waited for it do not try again one after the other.
    failed: Option<(Instant, TokenError)>,
}

struct Token {
    header: HeaderValue,
    good_until: Instant,
}

/// A token in use.
pub(crate) struct Loan {
    slot: SharedSlot,
    header: HeaderValue,
    /// Whether it was fetched for this very call.
    pub(crate) is_fresh: bool,
}

impl Loan {
    /// The header `Authorization`, marked as sensitive.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// Drops the token, unless another one has taken its place: the source refuses it.
    pub(crate) async fn forget(&self) {
        let mut slot = self.slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| token.header == self.header) {
            slot.token = None;
        }
    }
}

impl Tokens {
    /// The token of a source's proof with this number. Of those who want one at the same time one fetches it.
    pub(crate) async fn borrow(
        &self,
        clients: &Clients,
        (source, index): (&str, usize),
        auth: &Auth,
        endpoint: &Endpoint<'_>,
    ) -> Result<Loan, CallError> {
        let begun = Instant::now();
        let shared = self.slot(source, index);
        let mut slot = shared.lock().await;
        if slot.auth.as_ref() != Some(auth) {
            *slot = Slot { auth: Some(auth.clone()), ..Slot::default() };
        }
        if let Some((at, error)) = &slot.failed
            && *at >= begun
        {
            return Err(error.clone().into());
        }
        let kept = slot.token.as_ref().filter(|token| Instant::now() < token.good_until);
        let (header, is_fresh) = match kept {
            Some(token) => (token.header.clone(), false),
            None => match fetch(clients, endpoint).await {
                Ok(token) => {
                    tracing::debug!(source, "a token was fetched");
                    (slot.token.insert(token).header.clone(), true)
                }
                Err(error) => {
                    if let CallError::Token(error) = &error {
                        slot.failed = Some((Instant::now(), error.clone()));
                    }
                    return Err(error);
                }
            },
        };
        drop(slot);
        Ok(Loan { slot: shared, header, is_fresh })
    }

    fn slot(&self, source: &str, index: usize) -> SharedSlot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry((source.to_owned(), index)).or_default().clone()
    }
}

/// The two ways to tell a token endpoint who the client is: RFC 6749, section 2.3.1.
#[derive(Clone, Copy, PartialEq)]
enum ClientIn {
    Header,
    Body,
}

async fn fetch(clients: &Clients, endpoint: &Endpoint<'_>) -> Result<Token, CallError> {
    let url = Url::parse(endpoint.url)
        .map_err(|error| CallError::InvalidUrl(format!("the token_url is none: {error}")))?;
    let http = clients.to(&url, endpoint.allow_private_network)?;
    let id = endpoint.secrets.read(endpoint.client_id).await?;
    let secret = endpoint.secrets.read(endpoint.client_secret).await?;
    let begun = Instant::now();
    // All endpoints must know the header; some know the body alone, and refuse what they do not know in one of two ways.
    let mut response = ask(http, &url, endpoint.scope, (&id, &secret), ClientIn::Header).await?;
    if matches!(response.status(), StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) {
        response = ask(http, &url, endpoint.scope, (&id, &secret), ClientIn::Body).await?;
    }
    let status = response.status();
    if status != StatusCode::OK {
        return Err(refused(status).into());
    }
    let body = receive(&mut response, ANSWER_BYTES_MAX, &mut 0).await.map_err(unreachable)?;
    let (header, lifetime) = read_answer(&body).ok_or_else(invalid)?;
    Ok(Token { header, good_until: begun + lifetime - MARGIN_MAX.min(lifetime / 10) })
}

/// The form of a token request, with the client's own credentials where they go into it.
fn form(scope: Option<&str>, client: Option<(&SecretText, &SecretText)>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    if let Some((id, secret)) = client {
        form.append_pair("client_id", id.reveal()).append_pair("client_secret", secret.reveal());
    }
    form.finish()
}

async fn ask(
    http: &Client,
    url: &Url,
    scope: Option<&str>,
    (id, secret): (&SecretText, &SecretText),
    client_in: ClientIn,
) -> Result<Response, CallError> {
    let form = form(scope, (client_in == ClientIn::Body).then_some((id, secret)));
    let mut request = http
        .post(url.clone())
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(ACCEPT, "application/json")
        .body(form);
    if client_in == ClientIn::Header {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        request = request.basic_auth(encode(id.reveal()), Some(encode(secret.reveal())));
    }
    let sent = request.send().await;
    sent.map_err(|error| unreachable(CallError::of_transport(error, &shown_host(url))))
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
}

/// The header to send, and for how long; `None` when the answer holds no bearer token.
fn read_answer(body: &[u8]) -> Option<(HeaderValue, Duration)> {
    let granted: Granted = serde_json::from_slice(body).ok()?;
    if granted.access_token.is_empty()
        || granted.token_type.is_some_and(|token_type| !token_type.eq_ignore_ascii_case("bearer"))
    {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", granted.access_token)).ok()?;
    header.set_sensitive(true);
    let seconds = match &granted.expires_in {
        Some(Value::Number(seconds)) => seconds.as_u64(),
        Some(Value::String(seconds)) => seconds.parse().ok(),
        _ => None,
    };
    Some((header, seconds.map_or(LIFETIME_DEFAULT, Duration::from_secs).min(LIFETIME_MAX)))
}

/// The error of a call to the token endpoint, which is not to be taken for one of the source.
fn unreachable(error: CallError) -> CallError {
    let (code, detail) = match &error {
        CallError::Timeout(_) => ("token_timeout", "the token endpoint did not answer in time"),
        CallError::Transport(_) => ("token_unreachable", "the token endpoint cannot be reached"),
        CallError::TooLarge { .. } => return invalid().into(),
        _ => return error,
    };
    TokenError { code: code.to_owned(), detail: detail.to_owned(), is_passing: true }.into()
}

fn refused(status: StatusCode) -> TokenError {
    TokenError {
        code: format!("token_http_{}", status.as_u16()),
        detail: format!("the token endpoint answered {status}"),
        is_passing: !status.is_client_error() || matches!(status.as_u16(), 408 | 425 | 429),
    }
}

/// Without a word of what was answered: it may hold a token.
fn invalid() -> TokenError {
    TokenError {
        code: "token_invalid".to_owned(),
        detail: "the token endpoint's answer is no JSON object with a bearer token in access_token"
            .to_owned(),
        is_passing: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_come() {
        let lifetime = |body: &str| read_answer(body.as_bytes()).map(|(_, lifetime)| lifetime.as_secs());
        assert_eq!(lifetime(r#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#), Some(3600));
        assert_eq!(lifetime(r#"{"access_token":"t","token_type":"bearer","expires_in":"60"}"#), Some(60));
        assert_eq!(lifetime(r#"{"access_token":"t"}"#), Some(300));
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":18446744073709551615}"#), Some(86_400));
        assert_eq!(lifetime(r#"{"access_token":"t","expires_in":-1}"#), Some(300));
        for invalid in [
            "",
            "[]",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":3}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"t","token_type":"mac"}"#,
        ] {
            assert_eq!(lifetime(invalid), None, "{invalid}");
        }
        let (header, _) = read_answer(br#"{"access_token":"hunter2"}"#).unwrap();
        assert!(header.is_sensitive());
    }
}
