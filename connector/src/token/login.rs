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
    refusal::Refusal,
};
use crate::{
    CallError,
    body::receive,
    client::Clients,
    home::shown_host,
    secret::{SecretText, Secrets},
};

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
    /// Logs in. The token is used until it is refused, for a day at most: nothing tells how long it is good
    /// for.
    ///
    /// # Errors
    /// Those of the address that is called, which are those of a token endpoint, and of secrets.
    pub(super) async fn token(&self, clients: &Clients, secrets: &Secrets) -> Result<Token, CallError> {
        let name = HeaderName::try_from(self.header)
            .map_err(|_| CallError::InvalidRequest(format!("{:?} is no name of a header", self.header)))?;
        let url = Url::parse(self.url)
            .map_err(|error| CallError::InvalidUrl(format!("the url of the login is none: {error}")))?;
        let http = clients.to(&url, self.allow_private_network)?;
        let (mut body, mut texts) = (Map::new(), Vec::new());
        for (field, secret) in self.body {
            let text = secrets.read(secret).await?;
            body.insert(field.clone(), text.reveal().into());
            texts.push(text);
        }
        let begun = Instant::now();
        let request = http
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(Value::Object(body).to_string())
            .build();
        let request = request.map_err(|error| CallError::of_transport(error, &shown_host(&url)))?;
        let mut response = http.execute(request).await.map_err(unreachable)?;
        if !matches!(response.status(), StatusCode::OK | StatusCode::CREATED) {
            return Err(refused(&response, None).into());
        }
        let answer = receive(&mut response, ANSWER_BYTES_MAX, &mut 0).await.map_err(unreachable)?;
        let Some(header) = self.header_of(&answer) else {
            return Err(match Refusal::read(&answer) {
                Some(refusal) => refusal.error(texts.iter().map(SecretText::reveal)).into(),
                None => invalid("with a token where `token` says").into(),
            });
        };
        Ok(Token { name, header, fetched_at: Instant::now(), good_until: begun + LIFETIME_MAX })
    }

    fn header_of(&self, answer: &[u8]) -> Option<HeaderValue> {
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let token = answer.pointer(self.token)?.as_str().filter(|token| !token.is_empty())?;
        let mut header = HeaderValue::try_from(format!("{}{token}", self.prefix)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }
}
