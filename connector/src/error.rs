use std::{error::Error, time::Duration};

use reqwest::StatusCode;

/// A name has no address of the public internet.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
pub(crate) struct NotPublic;

/// Why a call brought no page. No text of it holds a secret, or the query of an address.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The source's rate limit.
    #[error("the source refuses calls for {0:?}")]
    RateLimited(Duration),
    /// An answer that is no success.
    #[error("the source answered {status}")]
    Status {
        /// What it answered.
        status: StatusCode,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The source is said to be elsewhere. Nobody was asked there: it could be anywhere, and would be another
    /// call.
    #[error("the source redirects ({status}) to {host}: write its address of today into base_url")]
    Redirected {
        /// Which redirect.
        status: StatusCode,
        /// The host that it leads to.
        host: String,
    },
    /// No answer within the time-outs.
    #[error("the source did not answer in time")]
    Timeout(#[source] reqwest::Error),
    /// No connection, or one that broke.
    #[error("the call failed")]
    Transport(#[source] reqwest::Error),
    /// The proxy was not reached, so nobody was asked.
    #[error("the proxy {proxy} cannot be reached: see RESUME_PROXY, HTTPS_PROXY and HTTP_PROXY")]
    ProxyUnreachable {
        /// Its host.
        proxy: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The host is this machine, or in a network that is not public.
    #[error(
        "{host} is on this machine or in a private network: if that is meant, set allow_private_network in the \
         definition of the source"
    )]
    AddressNotAllowed {
        /// The host, as the definition names it.
        host: String,
    },
    /// Over one of the limits of a page.
    #[error("the page has more than {max} {what}: ask for fewer items a page")]
    TooLarge {
        /// The most.
        max: usize,
        /// Of what.
        what: &'static str,
    },
    /// The body is packed in a way that cannot be unpacked.
    #[error("the page cannot be unpacked: {0}")]
    InvalidEncoding(String),
    /// The body is no JSON.
    #[error("the page is not valid JSON")]
    InvalidJson(#[source] serde_json::Error),
    /// The body is JSON of another shape than the definition says.
    #[error("the page has {found} at {at:?}, where {expected} should be")]
    InvalidShape {
        /// Where, as a JSON Pointer, or the header's name.
        at: String,
        /// What the definition promises.
        expected: &'static str,
        /// What is there.
        found: &'static str,
    },
    /// The answer is no success by what the definition expects.
    #[error("the source refused the call{}", .code.as_ref().map(|code| format!(": {code}")).unwrap_or_default())]
    Refused {
        /// The source's own code, where it gave one: at most 64 characters, all of them ASCII letters,
        /// digits, `_`, `-` or `.`.
        code: Option<String>,
    },
    /// The token of the page is too old: the list has to be read anew from its beginning.
    #[error("the source knows the token of the page no more: {code}")]
    CursorExpired {
        /// The source's own code, as in [`CallError::Refused`].
        code: String,
    },
    /// The source says that there are more pages, and not how to ask for them.
    #[error("the source says that more pages follow, but there is no token at {at:?}")]
    NextTokenMissing {
        /// Where the token should be, as a JSON Pointer.
        at: String,
    },
    /// An attachment is on a host that the definition does not allow, or its address carries credentials.
    #[error(
        "the attachment is on {host}, to which the definition does not allow calls: if that is meant, write it into \
         attachments.hosts, and https:// without a port is needed there"
    )]
    AttachmentForeign {
        /// The host.
        host: String,
    },
    /// An attachment is over the limit.
    #[error("the attachment has more than {max} bytes")]
    AttachmentTooLarge {
        /// The most.
        max: usize,
    },
    /// An attachment is no document, text or picture.
    #[error("the attachment is of no type that is kept: PDF, Word, OpenDocument, RTF, HTML, text, PNG, JPEG")]
    AttachmentType,
    /// The address of an attachment has expired, and a fresh one has too, or there is none.
    #[error("the attachment is gone: its address has expired, and so has the one that the source gave then")]
    AttachmentGone,
    /// The next page is said to be on another host, or its address carries credentials.
    #[error(
        "the next link leads to {0}, which is no host of this source, or it carries credentials: if {0} is the \
         same system, write it into base_url, or its address into fallback_urls, in the definition of the source"
    )]
    ForeignLink(String),
    /// The address is none.
    #[error("the address of the page is invalid: {0}")]
    InvalidUrl(String),
    /// The definition asks for what cannot be sent.
    #[error("the call cannot be made: {0}")]
    InvalidRequest(String),
    /// A secret is not where the definition says.
    #[error("a secret is missing: {0}")]
    SecretMissing(String),
    /// A secret cannot be sent as it is.
    #[error("a secret cannot be used: {0}")]
    SecretInvalid(String),
    /// The token that was kept is refused; the next call fetches another one.
    #[error("the source refuses a token that it took before")]
    TokenExpired,
    /// There is no token: of a token endpoint, or of a login.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Why there is no token of a token endpoint or a login.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no token: {detail}")]
pub struct TokenError {
    pub(crate) code: String,
    pub(crate) detail: String,
    /// For how long nobody of this process asks for one again.
    pub wait: Duration,
}

impl CallError {
    /// A stable code; `None` for the rate limit, which is no failure.
    pub fn code(&self) -> Option<String> {
        let code = match self {
            Self::RateLimited(_) => return None,
            Self::Status { status, .. } => return Some(format!("source_http_{}", status.as_u16())),
            Self::Refused { code: Some(code) } => return Some(format!("source_refused:{code}")),
            Self::Refused { code: None } => "source_refused",
            Self::Redirected { .. } => "source_redirected",
            Self::Timeout(_) => "source_timeout",
            Self::Transport(_) => "source_unreachable",
            Self::ProxyUnreachable { .. } => "proxy_unreachable",
            Self::AddressNotAllowed { .. } => "address_not_allowed",
            Self::TooLarge { .. } => "page_too_large",
            Self::InvalidEncoding(_) => "page_invalid_encoding",
            Self::InvalidJson(_) => "page_invalid_json",
            Self::InvalidShape { .. } => "page_invalid_shape",
            Self::CursorExpired { .. } => "cursor_expired",
            Self::NextTokenMissing { .. } => "next_token_missing",
            Self::AttachmentForeign { .. } => "attachment_foreign",
            Self::AttachmentTooLarge { .. } => "attachment_too_large",
            Self::AttachmentType => "attachment_type_not_allowed",
            Self::AttachmentGone => "attachment_gone",
            Self::ForeignLink(_) => "next_link_foreign",
            Self::InvalidUrl(_) => "page_invalid_url",
            Self::InvalidRequest(_) => "request_invalid",
            Self::SecretMissing(_) => "secret_missing",
            Self::SecretInvalid(_) => "secret_invalid",
            Self::TokenExpired => "token_expired",
            Self::Token(error) => &error.code,
        };
        Some(code.to_owned())
    }

    /// Whether the same call may succeed later, by itself. Of the 4xx only those that speak of time, and 401:
    /// the source may know us again. A secret that is missing stays so until somebody sets it.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => {
                !status.is_client_error() || matches!(status.as_u16(), 401 | 408 | 425 | 429)
            }
            Self::Redirected { status, .. } => !matches!(status.as_u16(), 301 | 308),
            Self::TooLarge { .. }
            | Self::AddressNotAllowed { .. }
            | Self::CursorExpired { .. }
            | Self::AttachmentForeign { .. }
            | Self::AttachmentTooLarge { .. }
            | Self::AttachmentType
            | Self::AttachmentGone
            | Self::ForeignLink(_)
            | Self::InvalidUrl(_)
            | Self::InvalidRequest(_)
            | Self::SecretMissing(_)
            | Self::SecretInvalid(_) => false,
            _ => true,
        }
    }

    /// Whether it says that the whole source is away, or has locked us out: another page would have fared no
    /// better.
    pub fn is_of_source(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status.as_u16(), 401 | 502..=504),
            // One that broke off may do so at this page alone.
            Self::Transport(error) | Self::Timeout(error) => error.is_connect(),
            Self::TokenExpired | Self::ProxyUnreachable { .. } => true,
            _ => false,
        }
    }

    /// What kept a request from getting an answer from this host.
    pub(crate) fn of_transport(error: reqwest::Error, host: &str) -> Self {
        // The address may hold what is nobody's business, and the texts of errors are shown.
        let error = error.without_url();
        if error.is_timeout() {
            return Self::Timeout(error);
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.is::<NotPublic>() {
                return Self::AddressNotAllowed { host: host.to_owned() };
            }
            cause = inner.source();
        }
        Self::Transport(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_refusals_those_that_speak_of_time_pass() {
        let status =
            |code| CallError::Status { status: StatusCode::from_u16(code).unwrap(), retry_after: None };
        for (code, is_passing) in [
            (400, false),
            (401, true),
            (403, false),
            (404, false),
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(status(code).is_passing(), is_passing, "{code}");
            assert_eq!(status(code).code(), Some(format!("source_http_{code}")));
        }
        assert_eq!(CallError::RateLimited(Duration::ZERO).code(), None);
    }
}
