use std::time::{Duration, Instant};

use reqwest::{
    Response, StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use resume_core::source::definition::Secret;
use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    Token,
    failure::{invalid, refused, unreachable},
    refusal::Refusal,
};
use crate::{
    CallError, TokenError,
    body::{beginning, receive},
    client::{Clients, Http},
    home::shown_host,
    secret::{SECRET_BYTES_MAX, SecretText, Secrets},
};

/// The largest answer of a token endpoint: some KiB for the largest tokens.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a token is used whose endpoint does not say how long it is good for.
const LIFETIME_DEFAULT: Duration = Duration::from_secs(300);
/// The longest time that a token is used.
pub(super) const LIFETIME_MAX: Duration = Duration::from_secs(24 * 3600);
/// How long before its end a token is not used any more, since clocks and calls take their time; a tenth of
/// the lifetime where that is less.
const MARGIN_MAX: Duration = Duration::from_secs(30);

/// Who asks, and where.
pub(super) struct Address<'a> {
    pub(super) url: &'a str,
    pub(super) client_id: &'a Secret,
    /// None for a client that is public.
    pub(super) client_secret: Option<&'a Secret>,
    pub(super) scope: Option<&'a str>,
    pub(super) allow_private_network: bool,
}

/// A token endpoint of RFC 6749, ready to be asked.
pub(super) struct Endpoint {
    http: Http,
    url: Url,
    client: (SecretText, Option<SecretText>),
    scope: Option<String>,
}

/// What an endpoint grants.
pub(super) struct Granted {
    pub(super) token: Token,
    /// The refresh token to use from now on, where it gives another one.
    pub(super) refresh_token: Option<SecretText>,
}

/// What an endpoint answers.
enum Answered {
    /// The header, how long it is good for, and the next refresh token.
    Granted((HeaderValue, Duration, Option<SecretText>)),
    /// It does not take us, perhaps because it does not see who we are.
    Refused(TokenError),
    /// Anything else.
    Failed(TokenError),
}

/// The two ways to tell a token endpoint who the client is: RFC 6749, section 2.3.1.
#[derive(Clone, Copy, PartialEq)]
enum ClientIn {
    Header,
    Body,
}

impl Endpoint {
    /// Reads the secrets, and asks nobody.
    ///
    /// # Errors
    /// Those of secrets and addresses.
    pub(super) async fn at(
        address: Address<'_>,
        clients: &Clients,
        secrets: &Secrets,
    ) -> Result<Self, CallError> {
        let url = Url::parse(address.url)
            .map_err(|error| CallError::InvalidUrl(format!("the token_url is none: {error}")))?;
        let http = clients.to(&url, address.allow_private_network)?.clone();
        let id = secrets.read(address.client_id).await?;
        let secret = match address.client_secret {
            Some(secret) => Some(secrets.read(secret).await?),
            None => None,
        };
        Ok(Self { http, url, client: (id, secret), scope: address.scope.map(str::to_owned) })
    }

    /// Asks for a token, by one of the grants of RFC 6749: its name, and the parameters that are its own.
    ///
    /// # Errors
    /// Those of the endpoint.
    pub(super) async fn ask(&self, grant: &str, params: &[(&str, &str)]) -> Result<Granted, CallError> {
        let begun = Instant::now();
        // All endpoints must know the header; some know the body alone, and refuse what they do not know in
        // one way or another.
        let first = if self.client.1.is_some() { ClientIn::Header } else { ClientIn::Body };
        let mut answer = self.answer(grant, params, first).await?;
        if matches!(answer, Answered::Refused(_)) && first == ClientIn::Header {
            answer = self.answer(grant, params, ClientIn::Body).await?;
        }
        let (header, lifetime, refresh_token) = match answer {
            Answered::Granted(granted) => granted,
            Answered::Refused(error) | Answered::Failed(error) => return Err(error.into()),
        };
        let good_until = begun + lifetime - MARGIN_MAX.min(lifetime / 10);
        let token = Token { name: AUTHORIZATION, header, fetched_at: Instant::now(), good_until };
        Ok(Granted { token, refresh_token })
    }

    async fn answer(
        &self,
        grant: &str,
        params: &[(&str, &str)],
        client_in: ClientIn,
    ) -> Result<Answered, CallError> {
        let mut response = self.send(grant, params, client_in).await?;
        let (id, secret) = self.client();
        let secrets = secret.into_iter().chain([id]).chain(params.iter().map(|(_, value)| *value));
        if matches!(response.status().as_u16(), 400 | 401 | 403 | 422) {
            let refusal = Refusal::read(&beginning(&mut response, &mut 0).await);
            let code = refusal.as_ref().and_then(|refusal| refusal.code(secrets));
            return Ok(Answered::Refused(refused(&response, code)));
        }
        if !matches!(response.status(), StatusCode::OK | StatusCode::CREATED) {
            return Ok(Answered::Failed(refused(&response, None)));
        }
        let body = receive(&mut response, ANSWER_BYTES_MAX, &mut 0).await.map_err(unreachable)?;
        Ok(match (read_answer(&body), Refusal::read(&body)) {
            (Some(granted), _) => Answered::Granted(granted),
            (None, Some(refusal)) => Answered::Refused(refusal.error(secrets)),
            (None, None) => Answered::Failed(invalid("object with a bearer token in access_token")),
        })
    }

    fn client(&self) -> (&str, Option<&str>) {
        (self.client.0.reveal(), self.client.1.as_ref().map(SecretText::reveal))
    }

    fn form(&self, grant: &str, params: &[(&str, &str)], client_in: ClientIn) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", grant).extend_pairs(params);
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        if client_in == ClientIn::Body {
            let (id, secret) = self.client();
            form.append_pair("client_id", id).extend_pairs(secret.map(|secret| ("client_secret", secret)));
        }
        form.finish()
    }

    async fn send(
        &self,
        grant: &str,
        params: &[(&str, &str)],
        client_in: ClientIn,
    ) -> Result<Response, CallError> {
        let (id, secret) = self.client();
        let mut request = self
            .http
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(self.form(grant, params, client_in));
        if client_in == ClientIn::Header {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encode(id), secret.map(encode));
        }
        let request = request.build();
        let request = request.map_err(|error| CallError::of_transport(error, &shown_host(&self.url)))?;
        self.http.execute(request).await.map_err(unreachable)
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: Option<String>,
    #[serde(default)]
    expires_in: Option<Value>,
    #[serde(default)]
    refresh_token: Option<String>,
}

/// The header to send, for how long, and the refresh token, if there is another one; `None` when the answer
/// holds no bearer token.
fn read_answer(body: &[u8]) -> Option<(HeaderValue, Duration, Option<SecretText>)> {
    let answer: Answer = serde_json::from_slice(body).ok()?;
    if answer.access_token.is_empty()
        || answer.token_type.is_some_and(|token_type| !token_type.eq_ignore_ascii_case("bearer"))
    {
        return None;
    }
    let mut header = HeaderValue::try_from(format!("Bearer {}", answer.access_token)).ok()?;
    header.set_sensitive(true);
    let seconds = match &answer.expires_in {
        Some(Value::Number(seconds)) => seconds.as_u64(),
        Some(Value::String(seconds)) => seconds.parse().ok(),
        _ => None,
    };
    let lifetime = seconds.map_or(LIFETIME_DEFAULT, Duration::from_secs).min(LIFETIME_MAX);
    let refresh_token = match answer.refresh_token.filter(|token| !token.is_empty()) {
        // RFC 6749, appendix A.17. Kept as the first line of a file, and read as such.
        Some(token)
            if token.len() as u64 > SECRET_BYTES_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            return None;
        }
        token => token.map(SecretText::new),
    };
    Some((header, lifetime, refresh_token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_they_come() {
        let lifetime = |body: &str| read_answer(body.as_bytes()).map(|(_, lifetime, _)| lifetime.as_secs());
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
            r#"{"access_token":"t","refresh_token":"a\nb"}"#,
            r#"{"access_token":"t","refresh_token":7}"#,
        ] {
            assert_eq!(lifetime(invalid), None, "{invalid}");
        }
        let (header, _, _) = read_answer(br#"{"access_token":"hunter2"}"#).unwrap();
        assert!(header.is_sensitive());
    }

    #[test]
    fn another_refresh_token_is_found() {
        let found = |body: &str| {
            let (_, _, refresh_token) = read_answer(body.as_bytes()).unwrap();
            refresh_token.map(|token| token.reveal().to_owned())
        };
        assert_eq!(found(r#"{"access_token":"t","refresh_token":"r"}"#).as_deref(), Some("r"));
        assert_eq!(found(r#"{"access_token":"t","refresh_token":""}"#), None);
        assert_eq!(found(r#"{"access_token":"t","refresh_token":null}"#), None);
    }
}
