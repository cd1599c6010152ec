//! Tokens that have to be asked for: of token endpoints (RFC 6749, sections 4.4 and 6), and of logins.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `mod.rs` | the tokens of this process, fetched once for all who want one |
//! | `loan.rs` | a token in use, and what its refusal means |
//! | `fleet.rs` `seal.rs` | what is shared with other processes, and how it is kept secret |
//! | `endpoint.rs` | the asking of a token endpoint |
//! | `refresh.rs` `kept.rs` | refresh tokens, and the files that keep them |
//! | `login.rs` | logins |
//! | `failure.rs` `refusal.rs` | why there is no token, and the error in an answer that should hold one |

mod endpoint;
mod failure;
mod fleet;
mod kept;
mod loan;
mod login;
mod refresh;
mod refusal;
mod seal;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use reqwest::header::{HeaderName, HeaderValue};
use resume_core::source::{
    definition::{Auth, Definition},
    tokens::SharedToken,
};

pub use self::fleet::{FleetTokens, Hold, NotShared};
pub(crate) use self::loan::Loan;
use self::{
    endpoint::{Address, Endpoint},
    failure::not_shared,
    loan::Doubt,
    login::Login,
    refresh::refresh,
    seal::Seal,
};
use crate::{CallError, TokenError, client::Clients, secret::Secrets};

/// How long nobody asks again after a failure, at first and at most; each time in a row it is twice as long.
/// An endpoint that refuses us is asked once a minute then, by each process, whatever waits for a token.
const WAIT_FIRST: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The tokens of this process: one for each proof of each source, until shortly before it expires.
#[derive(Default)]
pub(crate) struct Tokens {
    slots: Mutex<HashMap<(String, usize), Arc<Shared>>>,
    /// Where they are shared with other processes, if they are.
    fleet: Option<Arc<dyn FleetTokens>>,
}

/// What is kept of a proof, for all who use its token.
struct Shared {
    source: String,
    /// Its place in `auth`.
    place: usize,
    fleet: Option<Arc<dyn FleetTokens>>,
    slot: tokio::sync::Mutex<Slot>,
    /// When a request was refused with a token that was kept, by its hash; until it is answered, or refused
    /// with one that was fetched since.
    doubts: Mutex<HashMap<u64, Doubt>>,
}

#[derive(Default)]
struct Slot {
    /// What the token was fetched for: a definition that was changed has another one.
    auth: Option<Auth>,
    token: Option<Token>,
    /// The last token that was refused, by its header: it is not taken from the fleet again.
    refused: Option<HeaderValue>,
    /// What it is sealed with for the fleet.
    seal: Option<Seal>,
    /// How the last fetch failed.
    failure: Option<Failure>,
}

/// What a token is fetched with.
#[derive(Clone, Copy)]
struct Means<'a> {
    clients: &'a Clients,
    secrets: &'a Secrets,
    auth: &'a Auth,
    allow_private_network: bool,
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

impl Token {
    /// The line of a header, to be sealed.
    fn line(&self) -> Vec<u8> {
        [self.name.as_str().as_bytes(), b":", self.header.as_bytes()].concat()
    }

    /// Returns a token of the fleet, if this seal opens it.
    fn opened(shared: &SharedToken, seal: &Seal) -> Option<Self> {
        let line = seal.open(&shared.sealed)?;
        let colon = line.iter().position(|byte| *byte == b':')?;
        let mut header = HeaderValue::from_bytes(&line[colon + 1..]).ok()?;
        header.set_sensitive(true);
        let (name, now) = (HeaderName::from_bytes(&line[..colon]).ok()?, Instant::now());
        let fetched_at = now.checked_sub(shared.age).unwrap_or(now);
        Some(Self { name, header, fetched_at, good_until: now + shared.good_for })
    }
}

impl Tokens {
    /// Shares the tokens with the other processes of a fleet.
    pub(crate) fn share(&mut self, fleet: Arc<dyn FleetTokens>) {
        self.fleet = Some(fleet);
    }

    /// The token of the proof of a source with this number. Of those who want one at the same time one
    /// fetches it, for the whole fleet where they are shared. After a failure nobody of this process does for
    /// a while, which the error tells.
    ///
    /// # Errors
    /// Those of the endpoint or the login, and of secrets; `token_not_shared`.
    pub(crate) async fn borrow(
        &self,
        clients: &Clients,
        secrets: &Secrets,
        definition: &Definition,
        index: usize,
    ) -> Result<Loan, CallError> {
        let (source, auth) = (definition.name.as_str(), &definition.auth[index]);
        let shared = self.shared(source, index);
        let mut slot = shared.slot.lock().await;
        if slot.auth.as_ref() != Some(auth) {
            *slot = Slot { auth: Some(auth.clone()), ..Slot::default() };
        }
        if let Some(error) = slot.failure.as_ref().and_then(Failure::of_now) {
            return Err(error.into());
        }
        let kept = slot.token.as_ref().filter(|token| Instant::now() < token.good_until);
        let (token, is_fresh) = if let Some(token) = kept {
            (token, false)
        } else {
            let allow_private_network = definition.allow_private_network;
            let means = Means { clients, secrets, auth, allow_private_network };
            match shared.obtain(&mut slot, means).await {
                Ok((token, is_fresh)) => {
                    slot.failure = None;
                    (&*slot.token.insert(token), is_fresh)
                }
                Err(CallError::Token(error)) => {
                    let failure = Failure::after(slot.failure.as_ref(), error);
                    let error = failure.of_now().unwrap_or_else(|| failure.error.clone());
                    slot.failure = Some(failure);
                    return Err(error.into());
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Loan::new(shared.clone(), token, is_fresh))
    }

    fn shared(&self, source: &str, place: usize) -> Arc<Shared> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.to_owned(), place);
        let new = || Shared {
            source: source.to_owned(),
            place,
            fleet: self.fleet.clone(),
            slot: tokio::sync::Mutex::default(),
            doubts: Mutex::default(),
        };
        slots.entry(key).or_insert_with(|| Arc::new(new())).clone()
    }
}

impl Shared {
    /// Returns a token that this process does not have yet: the newest one of the fleet, unless it is the one
    /// that was refused, or else one that is fetched while no other process does. Says which: true when it
    /// was fetched.
    ///
    /// # Errors
    /// As [`Tokens::borrow`].
    async fn obtain(&self, slot: &mut Slot, means: Means<'_>) -> Result<(Token, bool), CallError> {
        let Some(fleet) = &self.fleet else { return Ok((self.fetch(means).await?, true)) };
        // Takes a while at first, for which no other process shall have to wait.
        self.renew_seal(slot, means).await?;
        let (newest, hold) = fleet.hold(&self.source, self.place).await.map_err(not_shared)?;
        // Meanwhile another process may have replaced a refresh token.
        self.renew_seal(slot, means).await?;
        if let Some(token) = newest.and_then(|newest| slot.opened(&newest))
            && slot.refused.as_ref() != Some(&token.header)
        {
            return Ok((token, false));
        }
        let token = self.fetch(means).await?;
        // It is good for this process, whether or not the others get to know it.
        if let Err(error) = self.publish(slot, means, hold, &token).await {
            tracing::warn!(source = self.source, %error, "a token was not shared");
        }
        Ok((token, true))
    }

    async fn fetch(&self, means: Means<'_>) -> Result<Token, CallError> {
        let token = fetch(means).await?;
        tracing::debug!(source = self.source, "a token was fetched");
        Ok(token)
    }

    /// Gives a token to the fleet.
    async fn publish(
        &self,
        slot: &mut Slot,
        means: Means<'_>,
        hold: Box<dyn Hold>,
        token: &Token,
    ) -> Result<(), NotShared> {
        // The fetch may have replaced a refresh token, and the others know the new one alone.
        self.renew_seal(slot, means).await?;
        let Some(sealed) = slot.seal.as_ref().and_then(|seal| seal.seal(&token.line())) else {
            return Ok(());
        };
        hold.replace(&sealed, token.good_until.saturating_duration_since(Instant::now())).await
    }

    /// Makes the seal that of the secrets as they are now.
    async fn renew_seal(&self, slot: &mut Slot, means: Means<'_>) -> Result<(), CallError> {
        let proof = (self.source.as_str(), self.place, means.auth);
        slot.seal = Seal::of_now(slot.seal.take(), proof, means.secrets).await?;
        Ok(())
    }

    /// Whether a token is no longer the newest, of this process or of the fleet.
    async fn is_overtaken(&self, header: &HeaderValue) -> bool {
        let slot = self.slot.lock().await;
        if let Some(token) = &slot.token
            && token.header != *header
        {
            return true;
        }
        let Some(fleet) = &self.fleet else { return false };
        match fleet.newest(&self.source, self.place).await {
            Ok(newest) => {
                let newest = newest.and_then(|newest| slot.opened(&newest));
                newest.is_some_and(|newest| newest.header != *header)
            }
            Err(error) => {
                tracing::warn!(source = self.source, %error, "the newest token is not known");
                false
            }
        }
    }

    /// Drops a token that was refused, unless another one has taken its place.
    async fn forget(&self, header: &HeaderValue) {
        let mut slot = self.slot.lock().await;
        if slot.token.as_ref().is_some_and(|token| token.header == *header) {
            slot.token = None;
            slot.refused = Some(header.clone());
        }
    }

    fn doubts(&self) -> MutexGuard<'_, HashMap<u64, Doubt>> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Returns a token of the fleet, if the secrets of this process open it.
    fn opened(&self, shared: &SharedToken) -> Option<Token> {
        Token::opened(shared, self.seal.as_ref()?)
    }
}

async fn fetch(means: Means<'_>) -> Result<Token, CallError> {
    let Means { clients, secrets, auth, allow_private_network } = means;
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
