use std::time::Instant;

use reqwest::{
    Request, Response, StatusCode, Url,
    header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use resume_core::{
    attachment::{MAX_BYTES, NewAttachment},
    source::definition::Definition,
};

use crate::{
    Answer, CallError, Connector, LINK_BYTES_MAX,
    auth::prove,
    body::{Packing, receive},
    client::Http,
    connector::headers,
    home::{Home, shown_host},
    refusal::Refusals,
    token::Loan,
};

/// The fetching of an attachment, ready to be done.
pub struct Download {
    http: Http,
    request: Request,
    refusals: Refusals,
    loan: Option<Loan>,
    is_elsewhere: bool,
}

impl Connector {
    /// Makes the fetching of an attachment ready, from the address that an item tells. It comes from outside:
    /// it must be on the scheme, host and port of one of the source's addresses, where it is fetched from the
    /// one in use with all that proves who we are; or on one of the hosts that the definition allows for
    /// attachments, by https and its port unless private networks are allowed, where nothing is sent but the
    /// address.
    ///
    /// # Errors
    /// [`CallError::InvalidUrl`] and [`CallError::AttachmentForeign`] for the address; otherwise as
    /// [`prepare`](Connector::prepare).
    pub async fn prepare_download(
        &self,
        definition: &Definition,
        base: &str,
        address: &str,
    ) -> Result<Download, CallError> {
        let home = Home::new(definition, base)?;
        let url = parse(address)?;
        if !home.is_own(&url) {
            check_elsewhere(definition, &url)?;
            let http = self.clients.to(&url, definition.allow_private_network)?;
            let host = shown_host(&url);
            let request =
                http.client.get(url).header(ACCEPT, "*/*").header(ACCEPT_ENCODING, "identity").build();
            let request = request.map_err(|error| CallError::of_transport(error, &host))?;
            let refusals = Refusals::default();
            return Ok(Download { http: http.clone(), request, refusals, loan: None, is_elsewhere: true });
        }
        let url = home.follow(home.in_use(), url.as_str())?;
        let http = self.clients.to(&url, definition.allow_private_network)?;
        let host = shown_host(&url);
        let mut headers = headers(definition)?;
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = http.client.get(url).headers(headers);
        let (request, mut loan) =
            prove(request, definition, &self.clients, (&self.tokens, &self.secrets)).await?;
        let request = request.build().map_err(|error| CallError::of_transport(error, &host))?;
        loan.iter_mut().for_each(|loan| loan.is_for(&request));
        let refusals = Refusals::of(definition);
        Ok(Download { http: http.clone(), request, refusals, loan, is_elsewhere: false })
    }
}

impl Download {
    /// Whether it goes to another host than the source's, which says nothing of the source.
    pub fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// Makes the call: one request, and no other whatever it answers. Reads at most
    /// [`MAX_BYTES`](resume_core::attachment::MAX_BYTES), and looks what they are.
    pub async fn send(mut self) -> Answer<NewAttachment> {
        let begun = Instant::now();
        self.loan.iter_mut().for_each(|loan| loan.renew(&mut self.request));
        let (mut status, mut headers, mut bytes) = (None, HeaderMap::new(), 0);
        let result = match self.http.execute(self.request).await {
            Ok(response) => {
                status = Some(response.status().as_u16());
                headers = response.headers().clone();
                let read = read(response, (self.refusals, self.loan), &mut bytes).await;
                if self.is_elsewhere { read.map_err(unlimited) } else { read }
            }
            Err(error) => Err(error),
        };
        Answer { result, status, headers, bytes, took: begun.elapsed() }
    }
}

fn parse(address: &str) -> Result<Url, CallError> {
    if address.len() > LINK_BYTES_MAX {
        return Err(CallError::InvalidUrl(format!(
            "that of the attachment has {} bytes, the most is {LINK_BYTES_MAX}",
            address.len()
        )));
    }
    Url::parse(address.trim())
        .map_err(|error| CallError::InvalidUrl(format!("that of the attachment: {error}")))
}

fn check_elsewhere(definition: &Definition, url: &Url) -> Result<(), CallError> {
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_safe = url.scheme() == "https" && url.port().is_none();
    let is_tolerated = url.scheme() == "http" || url.scheme() == "https";
    let is_allowed = match (&definition.attachments, url.host_str()) {
        (Some(attachments), Some(host)) => attachments.allow(host),
        _ => false,
    };
    if is_allowed && is_plain && (is_safe || definition.allow_private_network && is_tolerated) {
        return Ok(());
    }
    Err(CallError::AttachmentForeign { host: shown_host(url) })
}

/// A refusal of another host is no limit of the source's, which is waited for as long as it takes: it is an
/// error that passes.
fn unlimited(error: CallError) -> CallError {
    match error {
        CallError::RateLimited(wait) => {
            CallError::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(wait) }
        }
        other => other,
    }
}

async fn read(
    mut response: Response,
    (refusals, loan): (Refusals, Option<Loan>),
    bytes: &mut u64,
) -> Result<NewAttachment, CallError> {
    if response.status() != StatusCode::OK {
        return Err(refusals.judge(&mut response, (loan.as_ref(), false), bytes).await.0);
    }
    if let Some(loan) = &loan {
        loan.is_good();
    }
    if Packing::of(response.headers())? != Packing::None {
        let detail = "an attachment comes packed, which was not asked for".to_owned();
        return Err(CallError::InvalidEncoding(detail));
    }
    if response.content_length().is_some_and(|length| length > MAX_BYTES as u64) {
        return Err(CallError::AttachmentTooLarge { max: MAX_BYTES });
    }
    let body = receive(&mut response, MAX_BYTES, bytes).await.map_err(|error| match error {
        CallError::TooLarge { max, .. } => CallError::AttachmentTooLarge { max },
        other => other,
    })?;
    let declared =
        response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    // Hashing megabytes takes milliseconds: not on a thread that others wait for.
    let looking = tokio::task::spawn_blocking(move || NewAttachment::new(body, declared.as_deref()));
    match looking.await {
        Ok(file) => file.ok_or(CallError::AttachmentType),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
