use std::num::NonZeroU32;

use resume_core::source::definition::{Auth, Secret};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::{
    CallError,
    secret::{SecretText, Secrets},
};

/// How often the secrets are hashed into a key. One of them may be a password that somebody thought up, and
/// whoever has a dump can try out others: each takes them as long as it takes us, a tenth of a second or two.
/// We need one key, until a secret changes.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();

/// What shared tokens of a proof are sealed with. Only who has the secrets of the proof can make the same.
pub(super) struct Seal {
    secrets: Vec<SecretText>,
    /// What the tokens are bound to: one of another source or proof, or of another definition, is none.
    scope: Vec<u8>,
    key: LessSafeKey,
}

impl Seal {
    /// Returns the seal for the secrets of a proof as they are now: this one, unless they have changed since.
    /// `None` for a proof without any, which nothing could be kept secret with.
    ///
    /// # Errors
    /// Those of secrets.
    pub(super) async fn of_now(
        before: Option<Self>,
        (source, place, auth): (&str, usize, &Auth),
        from: &Secrets,
    ) -> Result<Option<Self>, CallError> {
        let mut secrets = Vec::new();
        for secret in secrets_of(auth) {
            secrets.push(from.read(secret).await?);
        }
        if before.as_ref().is_some_and(|before| before.secrets == secrets) || secrets.is_empty() {
            return Ok(before.filter(|_| !secrets.is_empty()));
        }
        let scope = serde_json::to_vec(&(source, place, auth))
            .map_err(|error| CallError::InvalidRequest(error.to_string()))?;
        // Not on a thread that others wait for.
        match tokio::task::spawn_blocking(move || Self::new(secrets, scope)).await {
            Ok(seal) => Ok(seal),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    fn new(secrets: Vec<SecretText>, scope: Vec<u8>) -> Option<Self> {
        // A list of texts as JSON: those of another list are never the same bytes.
        let texts: Vec<&str> = secrets.iter().map(SecretText::reveal).collect();
        let mut key = [0; 32];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ITERATIONS, &scope, &serde_json::to_vec(&texts).ok()?, &mut key);
        let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).ok()?);
        Some(Self { secrets, scope, key })
    }

    /// Seals a text: a random nonce, and what the cipher makes of the text. `None` where the system has no
    /// random numbers.
    pub(super) fn seal(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
        let (mut sealed, unique) = (text.to_vec(), Nonce::assume_unique_for_key(nonce));
        self.key.seal_in_place_append_tag(unique, Aad::from(&self.scope), &mut sealed).ok()?;
        sealed.splice(0..0, nonce);
        Some(sealed)
    }

    /// Opens what was sealed; `None` for what was sealed with other secrets, or for something else.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), text.to_vec());
        let length = self.key.open_in_place(nonce, Aad::from(&self.scope), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// The secrets that a token is asked for with.
fn secrets_of(auth: &Auth) -> Vec<&Secret> {
    match auth {
        Auth::ClientCredentials { client_id, client_secret, .. } => vec![client_id, client_secret],
        Auth::RefreshToken { client_id, client_secret, refresh_token, .. } => {
            [client_id, refresh_token].into_iter().chain(client_secret).collect()
        }
        Auth::Login { body, .. } => body.values().collect(),
        Auth::Basic { .. } | Auth::Bearer(_) | Auth::Header { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(secrets: &[&str], scope: &str) -> Seal {
        let secrets = secrets.iter().map(|text| SecretText::new((*text).to_owned())).collect();
        Seal::new(secrets, scope.as_bytes().to_owned()).unwrap()
    }

    #[test]
    fn only_the_same_secrets_open_a_token() {
        let own = seal(&["me", "hunter2"], "acme");
        let sealed = own.seal(b"X-Session:s1").unwrap();
        assert_eq!(seal(&["me", "hunter2"], "acme").open(&sealed).unwrap(), b"X-Session:s1");
        for other in [
            seal(&["me", "hunter3"], "acme"),
            seal(&["me", "hunter2"], "other"),
            seal(&["mehunter2"], "acme"),
        ] {
            assert_eq!(other.open(&sealed), None);
        }
        assert_ne!(own.seal(b"X-Session:s1").unwrap(), sealed, "each has a nonce of its own");
        let mut changed = sealed.clone();
        changed[NONCE_LEN] ^= 1;
        for other in [changed.as_slice(), &sealed[1..], &sealed[..5], b""] {
            assert_eq!(own.open(other), None);
        }
    }
}
