//! Tokens that have to be asked for: of token endpoints (RFC 6749, sections 4.4 and 6), and of logins.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mod.rs` | the tokens of this process, fetched once for all who want one |
//! | `endpoint.rs` | the asking of a token endpoint |
//! | `refresh.rs` `kept.rs` | refresh tokens, and the files that keep them |
//! | `login.rs` | logins |
//! | `failure.rs` `refusal.rs` | why there is no token, and the error in an answer that should hold one |

mod endpoint;
mod failure;
mod kept;
mod login;
mod refresh;
mod refusal;

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::{
    Request, StatusCode,
    header::{HeaderName, HeaderValue},
};
use resume_core::source::definition::{Auth, Definition};

use self::{
    endpoint::{Address, Endpoint},
    login::Login,
    refresh::refresh,
};
use crate::{CallError, TokenError, client::Clients, secret::Secrets};

/// How long nobody asks again after a failure, at first and at most; each time in a row it is twice as long.
/// An endpoint that refuses us is asked once a minute then, by each process, whatever waits for a token.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// So many requests are remembered that were refused with a token that was kept.
const DOUBTS_MAX: usize = 10_000;

/// A token that is no older than this has not expired, whatever its endpoint forgets to tell.
const FRESH: Duration = Duration::from_secs(1);

/// How often a request may be refused with older ones until it is taken to be refused for itself.
const DOUBTS_EACH: u32 = 3;

/// The tokens of this process: one for each proof of each source, until shortly before it expires.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<(String, usize), SharedSlot>>);

type SharedSlot = Arc<Shared>;

#[derive(Default)]
struct Shared {
    slot: tokio::sync::Mutex<Slot>,
    /// When a request was refused with a token that was kept, by its hash; until it is answered, or refused
    /// with one that was fetched since.
    doubts: Mutex<HashMap<u64, Doubt>>,
}

/// A request that was refused, perhaps for its token.
#[derive(Clone, Copy)]
struct Doubt {
    /// When it was refused for the first time.
    since: Instant,
    /// How often.
    times: u32,
}

impl Shared {
    fn doubts(&self) -> MutexGuard<'_, HashMap<u64, Doubt>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    fetched_at: Instant,
    good_until: Instant,
}

/// A token in use.
pub(crate) struct Loan {
    shared: SharedSlot,
    name: HeaderName,
    header: HeaderValue,
    fetched_at: Instant,
    /// How old it was when it was sent.
    age: Duration,
    /// Whether it was fetched for this very call.
    is_fresh: bool,
    /// Stands for the request that it goes with.
    request: u64,
}

impl Loan {
    /// The header to send, usually `Authorization`; its value is marked as sensitive.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.header.clone())
    }

    /// Sends the newest token that there is, where the call has waited for its turn meanwhile.
    pub(crate) fn renew(&mut self, request: &mut Request) {
        // Where somebody fetches one now, this call is sent with the one that it has: its time has come.
        if let Ok(slot) = self.shared.slot.try_lock()
            && let Some(token) = slot.token.as_ref().filter(|token| token.header != self.header)
        {
            self.header = token.header.clone();
            self.fetched_at = token.fetched_at;
            request.headers_mut().insert(token.name.clone(), token.header.clone());
        }
        self.age = self.fetched_at.elapsed();
    }

    /// Says what request it goes with.
    pub(crate) fn is_for(&mut self, request: &Request) {
        let mut hasher = DefaultHasher::new();
        request.url().as_str().hash(&mut hasher);
        request.body().and_then(|body| body.as_bytes()).hash(&mut hasher);
        self.request = hasher.finish();
    }

    /// Notes that the source has taken it.
    pub(crate) fn is_good(&self) {
        self.shared.doubts().remove(&self.request);
    }

    /// Whether the source may have refused the token rather than the request, by a 401 or a 403: the token
    /// was kept, and the request was not refused before with an older one and then with one that is fresh, or
    /// again and again. It is not used again then, nor after any 401.
    pub(crate) async fn is_to_blame(&self, status: StatusCode) -> bool {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return false;
        }
        let is_to_blame = !(self.is_fresh && self.age < FRESH) && self.is_in_doubt();
        if is_to_blame || status == StatusCode::UNAUTHORIZED {
            self.forget().await;
        }
        is_to_blame
    }

    /// Notes that the request was refused with a token that may have expired, unless it is clear by now that
    /// none had.
    fn is_in_doubt(&self) -> bool {
        let mut doubts = self.shared.doubts();
        if doubts.len() >= DOUBTS_MAX {
            doubts.clear();
        }
        let first = Doubt { since: Instant::now(), times: 0 };
        let doubt = doubts.entry(self.request).or_insert(first);
        doubt.times += 1;
        let is_settled = doubt.since < self.fetched_at && (self.age < FRESH || doubt.times > DOUBTS_EACH);
        if is_settled {
            doubts.remove(&self.request);
        }
        !is_settled
    }

    /// Drops the token, unless another one has taken its place.
    async fn forget(&self) {
        let mut slot = self.shared.slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| token.header == self.header) {
            slot.token = None;
        }
    }
}

impl Tokens {
    /// The token of the proof of a source with this number. Of those who want one at the same time one
    /// fetches it. After a failure nobody does for a while, which the error tells.
    pub(crate) async fn borrow(
        &self,
        clients: &Clients,
        secrets: &Secrets,
        definition: &Definition,
        index: usize,
    ) -> Result<Loan, CallError> {
        let (source, auth) = (definition.name.as_str(), &definition.auth[index]);
        let shared = self.slot(source, index);
        let mut slot = shared.slot.lock().await;
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
        let (name, header, fetched_at) = (token.name.clone(), token.header.clone(), token.fetched_at);
        drop(slot);
        Ok(Loan { shared, name, header, fetched_at, age: Duration::ZERO, is_fresh, request: 0 })
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
