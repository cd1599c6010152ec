//! Addresses: of the system and of its token endpoint.

use url::Url;

use super::fault::FaultList;
use crate::source::definition::{Definition, bounds::MAX_FALLBACKS};

/// The longest address, in bytes.
const MAX_ADDRESS_BYTES: usize = 2_000;

pub(super) fn check(definition: &Definition, faults: &mut FaultList) {
    let secure = !definition.auth.is_empty() && !definition.allow_private_network;
    faults.add_some("/base_url", fault(&definition.base_url, secure));
    let fallbacks = &definition.fallback_urls;
    if faults.check_length("/fallback_urls", fallbacks.len(), MAX_FALLBACKS, "addresses") {
        for (index, address) in fallbacks.iter().enumerate() {
            faults.add_some(format!("/fallback_urls/{index}"), fault(address, secure));
        }
    }
    for (index, auth) in definition.auth.iter().enumerate() {
        if let Some((field, address)) = auth.token_address() {
            faults.add_some(format!("/auth/{index}/{field}"), fault(address, secure));
        }
    }
}

/// What is wrong with an address. Never shows it: somebody may have written a password into it.
fn fault(address: &str, secure: bool) -> Option<String> {
    if address.len() > MAX_ADDRESS_BYTES {
        return Some(format!("{} bytes, the most is {MAX_ADDRESS_BYTES}", address.len()));
    }
    // What `Url` would tidy up without a word: others may read it in another way.
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\\';
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.contains(is_odd) && !rest.starts_with('/')) else {
        return Some("write https://host/path, or http://, without spaces".to_owned());
    };
    if rest.contains(['{', '}']) {
        return Some("no placeholders here: write the address as it is".to_owned());
    }
    let url = match Url::parse(address) {
        Ok(url) => url,
        Err(error) => return Some(format!("no address ({error}): write https://host/path")),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some("no user and password here: they belong into `auth`, by reference".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Some("no `?` and `#` here: parameters belong into `list.params`".to_owned());
    }
    (secure && url.scheme() == "http").then(|| {
        "write https://, because secrets go over it; `allow_private_network: true` allows http://".to_owned()
    })
}
