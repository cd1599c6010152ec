use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The fewest bytes of a key: as many as the hash has.
const MIN_BYTES: usize = 32;

/// The key with which the ids of erased people are hashed. Cheap to clone.
#[derive(Clone)]
pub struct Key(Arc<[u8]>);

/// A key that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the erasure key has {0} bytes, and needs {MIN_BYTES} at least: make one with `openssl rand -hex 32`"
)]
pub struct BadKey(usize);

impl Key {
    /// Takes the bytes of a key; white space around them does not count.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn new(bytes: &[u8]) -> Result<Self, BadKey> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < MIN_BYTES {
            return Err(BadKey(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// The HMAC-SHA256 of an id (RFC 2104).
    pub(super) fn hash(&self, external_id: &str) -> Vec<u8> {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return Vec::new() };
        mac.update(external_id.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    /// What tells the key from others without telling it: the first eight bytes of its SHA-256.
    pub(super) fn id(&self) -> Vec<u8> {
        Sha256::digest(&self.0)[..8].to_vec()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_not_shown() {
        assert_eq!(Key::new(b"short \n").unwrap_err(), BadKey(5));
        let key = Key::new(&[b'k'; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key(..)");
        assert_eq!(key.hash("ann").len(), 32);
        assert_ne!(key.hash("ann"), key.hash("bob"));
        assert_ne!(key.hash("ann"), Key::new(&[b'o'; 32]).unwrap().hash("ann"));
    }
}
