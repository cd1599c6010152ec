use std::{path::PathBuf, sync::Arc};

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use resume_core::source::definition::{Definition, Step, Values};

use crate::{
    Answer, Call, CallError, FleetTokens, SetupError, Timeouts,
    auth::prove,
    client::Clients,
    home::{Home, shown_host},
    page::Shape,
    proxy::Proxies,
    refusal::Refusals,
    request::question,
    secret::Secrets,
    token::Tokens,
};

/// Makes calls to sources. One for a process: it keeps connections, and the tokens of token endpoints.
pub struct Connector {
    pub(crate) clients: Clients,
    pub(crate) tokens: Tokens,
    pub(crate) secrets: Secrets,
}

impl Connector {
    /// A connector whose calls take no longer than this. Sources get the secrets of variables that begin with
    /// `RESUME_SECRET_`, and of files in `secrets_dir`. Public hosts are called through the proxy of the
    /// environment, if there is one.
    ///
    /// # Errors
    /// When TLS cannot be set up, as without any root certificate, or a variable names no proxy.
    pub fn new(timeouts: Timeouts, secrets_dir: PathBuf) -> Result<Self, SetupError> {
        Ok(Self {
            clients: Clients::new(timeouts, Proxies::from_env()?)?,
            tokens: Tokens::default(),
            secrets: Secrets::new(secrets_dir),
        })
    }

    /// Shares the tokens of token endpoints and logins with the other processes of a fleet. By default a
    /// process keeps its own in memory.
    #[must_use]
    pub fn sharing(mut self, fleet: Arc<dyn FleetTokens>) -> Self {
        self.tokens.share(fleet);
        self
    }

    /// Makes a call ready: everything that can go wrong without the source goes wrong here, before the caller
    /// asks for leave to call. Reads the secrets, and fetches a token where the source wants one and none is
    /// kept; that is a call to the token endpoint, twice the time-outs long at most, or the wait for another
    /// process that makes it.
    ///
    /// `base` is the address in use: the definition's base URL or one of its fallbacks. `link` is what the
    /// page before gave as [`Page::next`](crate::Page::next), and is followed below `base` even if it was
    /// given below another address of the source; `None` for a first page, and for numbered pages, whose
    /// number is in `values`. What a step is about, a parent or an item, is in `values` too.
    ///
    /// # Errors
    /// [`CallError::InvalidUrl`], [`CallError::ForeignLink`] and [`CallError::InvalidRequest`] for what
    /// cannot be asked, [`CallError::AddressNotAllowed`] for a host written as a private address,
    /// [`CallError::SecretMissing`], [`CallError::SecretInvalid`] and [`CallError::Token`] for what proves
    /// who we are.
    pub async fn prepare(
        &self,
        definition: &Definition,
        step: Step,
        base: &str,
        link: Option<&str>,
        values: &Values,
    ) -> Result<Call, CallError> {
        let home = Home::new(definition, base)?;
        let shape = Shape::of(definition, step, values)?;
        let question = question(shape.list(), &home, link, values)?;
        let http = self.clients.to(&question.url, definition.allow_private_network)?;
        let mut headers = headers(definition)?;
        if question.body.is_some() {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        let mut request = http.client.request(question.method, question.url).headers(headers);
        if let Some(body) = question.body {
            request = request.body(body.to_string());
        }
        let (request, mut loan) =
            prove(request, definition, &self.clients, (&self.tokens, &self.secrets)).await?;
        let request =
            request.build().map_err(|error| CallError::of_transport(error, &shown_host(home.in_use())))?;
        loan.iter_mut().for_each(|loan| loan.is_for(&request));
        let (link, refusals) = (link.map(str::to_owned), Refusals::of(definition));
        Ok(Call { http: http.clone(), request, home, shape, link, refusals, loan })
    }

    /// Prepares a call and makes it. What goes wrong before the source is asked comes in an answer without a
    /// status.
    pub async fn call(
        &self,
        definition: &Definition,
        step: Step,
        base: &str,
        link: Option<&str>,
        values: &Values,
    ) -> Answer {
        match self.prepare(definition, step, base, link, values).await {
            Ok(call) => call.send().await,
            Err(error) => Answer::without_call(error),
        }
    }
}

pub(crate) fn headers(definition: &Definition) -> Result<HeaderMap, CallError> {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    for (name, value) in &definition.headers {
        let invalid =
            || CallError::InvalidRequest(format!("the header {name:?} cannot be sent as it is written"));
        let value = HeaderValue::try_from(value).map_err(|_| invalid())?;
        headers.insert(HeaderName::try_from(name).map_err(|_| invalid())?, value);
    }
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(headers)
}
