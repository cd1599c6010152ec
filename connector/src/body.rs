use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, HeaderMap},
};

use crate::{CallError, home::shown_host};

/// The largest page that is read, as received and unpacked: a thousand resumes of 16 KiB.
pub const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most of a refusal's body that is read, as received and unpacked.
pub(crate) const BEGINNING_BYTES_MAX: usize = 64 * 1024;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
}

impl Packing {
    /// Reads `Content-Encoding`, RFC 9110, section 8.4. We ask for gzip at most.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, CallError> {
        let mut packing = Self::None;
        for field in headers.get_all(CONTENT_ENCODING) {
            let field = field.as_bytes().trim_ascii();
            let is = |name: &str| field.eq_ignore_ascii_case(name.as_bytes());
            packing = match packing {
                _ if field.is_empty() || is("identity") => packing,
                Self::None if is("gzip") || is("x-gzip") => Self::Gzip,
                _ => {
                    return Err(CallError::InvalidEncoding(
                        "its Content-Encoding is not gzip, which is all we ask for".to_owned(),
                    ));
                }
            };
        }
        Ok(packing)
    }

    /// Unpacks a body, to [`PAGE_BYTES_MAX`] at most: what would become larger is given up there.
    pub(crate) fn unpack(self, body: Vec<u8>) -> Result<Vec<u8>, CallError> {
        // An empty answer is empty, and no archive that was cut off.
        if self == Self::None || body.is_empty() {
            return Ok(body);
        }
        let mut unpacked = Vec::new();
        MultiGzDecoder::new(body.as_slice())
            .take(PAGE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut unpacked)
            .map_err(|e| CallError::InvalidEncoding(format!("its gzip is broken: {e}")))?;
        if unpacked.len() > PAGE_BYTES_MAX {
            return Err(too_large(PAGE_BYTES_MAX));
        }
        Ok(unpacked)
    }
}

/// Receives the beginning of a body, as far as it comes and can be unpacked, and adds its bytes to `bytes`.
pub(crate) async fn beginning(response: &mut Response, bytes: &mut u64) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < BEGINNING_BYTES_MAX
        && let Ok(Some(chunk)) = response.chunk().await
    {
        *bytes += chunk.len() as u64;
        body.extend_from_slice(&chunk);
    }
    if matches!(Packing::of(response.headers()), Ok(Packing::Gzip)) {
        let mut unpacked = Vec::new();
        // What broke off, or was left out, has a beginning all the same.
        drop(
            MultiGzDecoder::new(body.as_slice()).take(BEGINNING_BYTES_MAX as u64).read_to_end(&mut unpacked),
        );
        body = unpacked;
    }
    body.truncate(BEGINNING_BYTES_MAX);
    body
}

/// Receives a body as it comes over the wire, `max` bytes at most, and adds them to `bytes` as they come.
pub(crate) async fn receive(
    response: &mut Response,
    max: usize,
    bytes: &mut u64,
) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|e| CallError::of_transport(e, &shown_host(response.url())))?;
        let Some(chunk) = chunk else { return Ok(body) };
        *bytes += chunk.len() as u64;
        if body.len() + chunk.len() > max {
            return Err(too_large(max));
        }
        body.extend_from_slice(&chunk);
    }
}

fn too_large(max: usize) -> CallError {
    CallError::TooLarge { max, what: "bytes" }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked() {
        let mut twice = gzip(b"[1,");
        twice.extend(gzip(b"2]"));
        assert_eq!(Packing::Gzip.unpack(twice).unwrap(), b"[1,2]");
        assert_eq!(Packing::Gzip.unpack(Vec::new()).unwrap(), b"");
        assert_eq!(Packing::None.unpack(b"x".to_vec()).unwrap(), b"x");
    }

    #[test]
    fn broken_gzip_is_an_error() {
        let whole = gzip(b"[1,2,3,4,5,6,7,8,9]");
        for body in [&whole[..whole.len() - 1], &whole[..5], b"[1]", &[&whole[..], b"rubbish"].concat()] {
            let error = Packing::Gzip.unpack(body.to_vec()).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("page_invalid_encoding"));
        }
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let bomb = gzip(&vec![b' '; PAGE_BYTES_MAX + 1]);
        assert!(bomb.len() < 100_000);
        assert_eq!(Packing::Gzip.unpack(bomb).unwrap_err().code().as_deref(), Some("page_too_large"));
        assert_eq!(
            Packing::Gzip.unpack(gzip(&vec![b' '; PAGE_BYTES_MAX])).map(|body| body.len()).unwrap(),
            PAGE_BYTES_MAX
        );
    }

    #[test]
    fn only_gzip_is_known() {
        let of = |fields: &[&str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CONTENT_ENCODING, field.parse().unwrap());
            }
            Packing::of(&headers).ok()
        };
        assert_eq!(of(&[]), Some(Packing::None));
        assert_eq!(of(&["identity"]), Some(Packing::None));
        assert_eq!(of(&["GZIP"]), Some(Packing::Gzip));
        for unknown in [&["br"][..], &["gzip, gzip"], &["gzip", "gzip"], &["deflate"]] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }
}
