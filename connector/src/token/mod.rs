//! Tokens that have to be asked for: of token endpoints (RFC 6749, sections 4.4 and 6), and of logins.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mod.rs` | the tokens of this process, fetched once for all who want one |
//! | `endpoint.rs` | the asking of a token endpoint |
//! | `refresh.rs` `kept.rs` | refresh tokens, and the files that keep them |
//! | `login.rs` | logins |
//! | `failure.rs` | why there is no token |

mod endpoint;
mod failure;
mod kept;
mod login;
mod refresh;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::header::{HeaderName, HeaderValue};
use resume_core::source::definition::{Auth, Definition};

use self::{
    endpoint::{Address, Endpoint},
    login::Login,
    refresh::refresh,
};
use crate::{CallError, TokenError, client::Clients, secret::Secrets};

/// How long nobody asks again after a failure, at first and at most; each time in a row it is twice as long. An endpoint that
/// refuses us is asked once a minute then, by each process, whatever waits for a token.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The tokens of this process: one for each proof of each source, until shortly before it expires.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<(String, usize), SharedSlot>>);

type SharedSlot = Arc<tokio::sync::Mutex<Slot>>;

#[derive(Default)]
struct Slot {
    /// What the token was fetched for: a definition that was changed has another one.
    auth: Option<Auth>,
    token: Option<Token>,
    /// How the last fetch failed.
    failure: Option<Failure>,
}

/// Why there is no token, and until when nobody asks for one again.
struct Failure {
    error: TokenError,
    until: Instant,
    in_row: u32,
}

impl Failure {
    fn after(before: Option<&Self>, error: TokenError) -> Self {
        let in_row = before.map_or(0, |failure| failure.in_row.saturating_add(1));
        let wait = WAIT_FIRST.saturating_mul(2_u32.saturating_pow(in_row)).min(WAIT_MAX).max(error.wait);
        Self { error, until: Instant::now() + wait, in_row }
    }

    /// The error for those who want a token now; `None` when one may be asked for again.
    fn of_now(&self) -> Option<TokenError> {
        let wait = self.until.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero())?;
        Some(TokenError { wait, ..self.error.clone() })
    }
}

struct Token {
    /// The header that it is sent in, and its value.
    name: HeaderName,
    header: HeaderValue,
    good_until: Instant,
}

/// A token in use.
pub(crate) struct Loan {
    slot: SharedSlot,
    name: HeaderName,
    header: HeaderValue,
    /// Whether it was fetched for this very call.
    pub(crate) is_fresh: bool,
}

impl Loan {
    /// The header to send, usually `Authorization`; its value is marked as sensitive.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.header.clone())
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
    /// The token of the proof of a source with this number. Of those who want one at the same time one fetches it. After a failure
    /// nobody does for a while, which the error tells.
    pub(crate) async fn borrow(
        &self,
        clients: &Clients,
        secrets: &Secrets,
        definition: &Definition,
        index: usize,
    ) -> Result<Loan, CallError> {
        let (source, auth) = (definition.name.as_str(), &definition.auth[index]);
        let shared = self.slot(source, index);
        let mut slot = shared.lock().await;
        if slot.auth.as_ref() != Some(auth) {
            *slot = Slot { auth: Some(auth.clone()), ..Slot::default() };
        }
        if let Some(error) = slot.failure.as_ref().and_then(Failure::of_now) {
            return Err(error.into());
        }
        let kept = slot.token.as_ref().filter(|token| Instant::now() < token.good_until);
        let (token, is_fresh) = match kept {
            Some(token) => (token, false),
            None => match fetch(clients, secrets, auth, definition.allow_private_network).await {
                Ok(token) => {
                    tracing::debug!(source, "a token was fetched");
                    slot.failure = None;
                    (&*slot.token.insert(token), true)
                }
                Err(CallError::Token(error)) => {
                    let failure = Failure::after(slot.failure.as_ref(), error);
                    let error = failure.of_now().unwrap_or_else(|| failure.error.clone());
                    slot.failure = Some(failure);
                    return Err(error.into());
                }
                Err(error) => return Err(error),
            },
        };
        let (name, header) = (token.name.clone(), token.header.clone());
        drop(slot);
        Ok(Loan { slot: shared, name, header, is_fresh })
    }

    fn slot(&self, source: &str, index: usize) -> SharedSlot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry((source.to_owned(), index)).or_default().clone()
    }
}

async fn fetch(
    clients: &Clients,
    secrets: &Secrets,
    auth: &Auth,
    allow_private_network: bool,
) -> Result<Token, CallError> {
    match auth {
        Auth::ClientCredentials { token_url, client_id, client_secret, scope } => {
            let address = Address {
                url: token_url,
                client_id,
                client_secret: Some(client_secret),
                scope: scope.as_deref(),
                allow_private_network,
            };
            let endpoint = Endpoint::at(address, clients, secrets).await?;
            Ok(endpoint.ask("client_credentials", &[]).await?.token)
        }
        Auth::RefreshToken { token_url, client_id, client_secret, refresh_token, scope } => {
            let address = Address {
                url: token_url,
                client_id,
                client_secret: client_secret.as_ref(),
                scope: scope.as_deref(),
                allow_private_network,
            };
            refresh(Endpoint::at(address, clients, secrets).await?, secrets, refresh_token).await
        }
        Auth::Login { url, body, token, header, prefix } => {
            Login { url, body, token, header, prefix, allow_private_network }.token(clients, secrets).await
        }
        Auth::Basic { .. } | Auth::Bearer(_) | Auth::Header { .. } => {
            Err(CallError::InvalidRequest("this proof has no token that is fetched".to_owned()))
        }
    }
}
