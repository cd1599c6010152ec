use std::{collections::BTreeMap, time::Instant};

use reqwest::{
    StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use resume_core::source::definition::Secret;
use serde_json::{Map, Value};

use super::{
    Token,
    endpoint::{ANSWER_BYTES_MAX, LIFETIME_MAX},
    failure::{invalid, refused, unreachable},
};
use crate::{CallError, body::receive, client::Clients, home::shown_host, secret::Secrets};

/// A call whose answer holds a token for a header of the system's own.
pub(super) struct Login<'a> {
    pub(super) url: &'a str,
    pub(super) body: &'a BTreeMap<String, Secret>,
    pub(super) token: &'a str,
    pub(super) header: &'a str,
    pub(super) prefix: &'a str,
    pub(super) allow_private_network: bool,
}

impl Login<'_> {
    /// Logs in. The token is used until it is refused, for a day at most: nothing tells how long it is good for.
    ///
    /// # Errors
    /// Those of the address that is called, which are those of a token endpoint, and of secrets.
    pub(super) async fn token(&self, clients: &Clients, secrets: &Secrets) -> Result<Token, CallError> {
        let name = HeaderName::try_from(self.header)
            .map_err(|_| CallError::InvalidRequest(format!("{:?} is no name of a header", self.header)))?;
        let url = Url::parse(self.url)
            .map_err(|error| CallError::InvalidUrl(format!("the url of the login is none: {error}")))?;
        let http = clients.to(&url, self.allow_private_network)?;
        let mut body = Map::new();
        for (field, secret) in self.body {
            body.insert(field.clone(), secrets.read(secret).await?.reveal().into());
        }
        let begun = Instant::now();
        let request = http
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Value::Object(body).to_string());
        let sent = request.send().await;
        let mut response =
            sent.map_err(|error| unreachable(CallError::of_transport(error, &shown_host(&url))))?;
        if !matches!(response.status(), StatusCode::OK | StatusCode::CREATED) {
            return Err(refused(&response).into());
        }
        let answer = receive(&mut response, ANSWER_BYTES_MAX, &mut 0).await.map_err(unreachable)?;
        let header = self.header_of(&answer).ok_or_else(|| invalid("with a token where `token` says"))?;
        Ok(Token { name, header, good_until: begun + LIFETIME_MAX })
    }

    fn header_of(&self, answer: &[u8]) -> Option<HeaderValue> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let token = answer.pointer(self.token)?.as_str().filter(|token| !token.is_empty())?;
        let mut header = HeaderValue::try_from(format!("{}{token}", self.prefix)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}
