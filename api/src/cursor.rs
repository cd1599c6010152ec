use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::problem::Problem;

/// Enough to tell a cursor of ours from a typing error or a guess. It keeps no secret: a cursor is a position
/// in a list that its reader may read anyway.
const CHECKSUM_BYTES: usize = 4;

/// A place in a list, from which the next page is read.
pub(crate) trait Position: Sized {
    /// Tells the cursors of one list from those of another, and from those of an older version.
    const KIND: u8;

    /// The place as bytes.
    fn to_bytes(&self) -> Vec<u8>;

    /// The place that [`Position::to_bytes`] wrote.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A collection in the list of collections.
impl Position for Uuid {
    const KIND: u8 = 1;

    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_slice(bytes).ok()
    }
}

/// A resume in the results of a search.
impl Position for i64 {
    const KIND: u8 = 2;

    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_be_bytes)
    }
}

/// Behind what has this number, in the list of this kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbered<const KIND: u8>(pub(crate) i64);

impl<const KIND: u8> Position for Numbered<KIND> {
    const KIND: u8 = KIND;

    fn to_bytes(&self) -> Vec<u8> {
        self.0.to_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        i64::from_bytes(bytes).map(Self)
    }
}

/// Writes a cursor: kind, place and checksum in hexadecimal digits.
pub(crate) fn encode<P: Position>(position: &P) -> String {
    let mut bytes = vec![P::KIND];
    bytes.extend(position.to_bytes());
    bytes.extend(checksum(&bytes));
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Cuts what was found to a page of `limit`; one more tells that there is a next page. Returns its cursor.
pub(crate) fn next<T, P: Position>(
    found: &mut Vec<T>,
    limit: usize,
    place: impl FnOnce(&T) -> P,
) -> Option<String> {
    let has_more = found.len() > limit;
    found.truncate(limit);
    found.last().filter(|_| has_more).map(|last| encode(&place(last)))
}

/// Reads the cursor that [`encode`] wrote for the same list.
///
/// # Errors
/// An invalid request that names the parameter `cursor`.
pub(crate) fn decode<P: Position>(cursor: &str) -> Result<P, Problem> {
    position(cursor).ok_or_else(|| {
        Problem::invalid_field(
            "cursor",
            "must be the `next_cursor` of an earlier reply of the same operation",
        )
    })
}

fn position<P: Position>(cursor: &str) -> Option<P> {
    let digits = cursor.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let pairs = digits.chunks_exact(2).map(|pair| std::str::from_utf8(pair).ok());
    let bytes: Vec<u8> = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect::<Option<_>>()?;
    let (signed, sum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
    let (&kind, place) = signed.split_first()?;
    if kind != P::KIND || checksum(signed) != sum { None } else { P::from_bytes(place) }
}

fn checksum(signed: &[u8]) -> Vec<u8> {
    let mut sum = Sha256::digest(signed).to_vec();
    sum.truncate(CHECKSUM_BYTES);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back() {
        for id in [1, 0x0123_4567_89ab_cdef, i64::MAX] {
            assert_eq!(decode::<i64>(&encode(&id)).unwrap(), id);
        }
        let id = Uuid::now_v7();
        assert_eq!(decode::<Uuid>(&encode(&id)).unwrap(), id);
    }

    #[test]
    fn nothing_else_is_a_cursor() {
        let good = encode(&42_i64);
        let (short, long) = (&good[..good.len() - 2], format!("{good}00"));
        let forged = good.replacen("2a", "2b", 1);
        let upper = good.to_uppercase();
        let other = encode(&Uuid::nil());
        for bad in ["", "0", "42", "zz", "é", "\0\0", short, &long, &forged, &upper, &other] {
            assert!(decode::<i64>(bad).is_err(), "{bad:?}");
        }
    }
}
