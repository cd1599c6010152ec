//! Headers and secrets: what goes with every call.

use std::collections::BTreeMap;

use super::{fault::FaultList, list::check_pointer};
use crate::{
    parsing::json_pointer::escape,
    source::definition::{
        Auth, Definition, Secret, SecretPlace,
        bounds::{MAX_AUTHS, MAX_HEADERS},
    },
};

/// The most members of the body of a login.
const MAX_LOGIN_FIELDS: usize = 16;

/// The longest name and the longest value of a header, and the longest path of a secret, in bytes.
const MAX_HEADER_NAME_BYTES: usize = 100;
const MAX_HEADER_VALUE_BYTES: usize = 1_000;
const MAX_SECRET_PATH_BYTES: usize = 500;

/// Headers that prove who we are.
const OF_AUTH: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];

/// Headers that say how a call is sent, which only its sender knows.
const OF_THE_CALL: [&str; 12] = [
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn check(definition: &Definition, faults: &mut FaultList) {
    let mut set = BTreeMap::new();
    if faults.check_length("/auth", definition.auth.len(), MAX_AUTHS, "proofs") {
        for (index, auth) in definition.auth.iter().enumerate() {
            let at = format!("/auth/{index}");
            check_auth(&at, auth, faults);
            if let Some(earlier) = set.insert(header_of(auth), at.clone()) {
                faults.add(at, format!("sets the same header as {earlier}: only one can be sent"));
            }
        }
    }
    if faults.check_length("/headers", definition.headers.len(), MAX_HEADERS, "headers") {
        for (name, value) in &definition.headers {
            if faults.check_length("/headers", name.len(), MAX_HEADER_NAME_BYTES, "bytes in a name") {
                let at = format!("/headers/{}", escape(name));
                faults.add_some(&at, name_fault(name).or_else(|| value_fault(value)));
                if let Some(earlier) = set.insert(name.to_ascii_lowercase(), at.clone()) {
                    faults.add(at, format!("is set by {earlier} too: only one can be sent"));
                }
            }
        }
    }
}

/// The header that a proof is sent in, in lower case.
fn header_of(auth: &Auth) -> String {
    match auth {
        Auth::Basic { .. } | Auth::Bearer(_) | Auth::ClientCredentials { .. } | Auth::RefreshToken { .. } => {
            "authorization".to_owned()
        }
        Auth::Header { name, .. } | Auth::Login { header: name, .. } => name.to_ascii_lowercase(),
    }
}

fn check_auth(at: &str, auth: &Auth, faults: &mut FaultList) {
    let mut secret = |field: &str, secret: &Secret| {
        faults.add_some(format!("{at}/{field}"), secret_fault(secret));
    };
    match auth {
        Auth::Basic { user, password } => {
            secret("basic/user", user);
            password.iter().for_each(|password| secret("basic/password", password));
        }
        Auth::Bearer(token) => secret("bearer", token),
        Auth::Header { name, prefix, value } => {
            secret("header/value", value);
            faults.add_some(format!("{at}/header/name"), proof_name_fault(name));
            faults.add_some(format!("{at}/header/prefix"), value_fault(prefix));
        }
        Auth::ClientCredentials { client_id, client_secret, scope, .. } => {
            secret("client_credentials/client_id", client_id);
            secret("client_credentials/client_secret", client_secret);
            let scope = scope.as_deref().unwrap_or_default();
            faults.add_some(format!("{at}/client_credentials/scope"), value_fault(scope));
        }
        Auth::RefreshToken { client_id, client_secret, refresh_token, scope, .. } => {
            secret("refresh_token/client_id", client_id);
            client_secret.iter().for_each(|text| secret("refresh_token/client_secret", text));
            secret("refresh_token/refresh_token", refresh_token);
            if let Some(SecretPlace::Env(_)) = refresh_token.place() {
                let detail = "write file:/path: the token endpoint gives another refresh token with each token, which is \
                              written there; a variable cannot keep it";
                faults.add(format!("{at}/refresh_token/refresh_token"), detail);
            }
            let scope = scope.as_deref().unwrap_or_default();
            faults.add_some(format!("{at}/refresh_token/scope"), value_fault(scope));
        }
        Auth::Login { body, token, header, prefix, .. } => {
            let is_long = |field: &&String| field.len() > MAX_HEADER_NAME_BYTES;
            if body.len() > MAX_LOGIN_FIELDS || body.keys().any(|field| is_long(&field)) {
                let detail = format!(
                    "write at most {MAX_LOGIN_FIELDS} members with names of at most {MAX_HEADER_NAME_BYTES} bytes"
                );
                faults.add(format!("{at}/login/body"), detail);
            } else {
                for (field, text) in body {
                    faults.add_some(format!("{at}/login/body/{}", escape(field)), secret_fault(text));
                }
            }
            check_pointer(&format!("{at}/login/token"), token, faults);
            faults.add_some(format!("{at}/login/header"), proof_name_fault(header));
            faults.add_some(format!("{at}/login/prefix"), value_fault(prefix));
        }
    }
}

/// What is wrong with a reference to a secret. Never shows it: it may be the secret.
fn secret_fault(secret: &Secret) -> Option<String> {
    match secret.place() {
        None => Some(
            "write env:RESUME_SECRET_NAME or file:/path, where the secret is, and not the secret itself; what stands here is not shown"
                .to_owned(),
        ),
        Some(SecretPlace::Env(path) | SecretPlace::File(path)) if path.len() > MAX_SECRET_PATH_BYTES => {
            Some(format!("{} bytes, the most is {MAX_SECRET_PATH_BYTES}", path.len()))
        }
        Some(SecretPlace::Env(name)) if !name.starts_with(Secret::VARIABLE_PREFIX) => {
            Some(format!("only variables that begin with {} are given to sources", Secret::VARIABLE_PREFIX))
        }
        Some(place) => {
            let (SecretPlace::Env(text) | SecretPlace::File(text)) = place;
            text.contains(char::is_control).then(|| "holds a control character".to_owned())
        }
    }
}

/// What is wrong with the name of a header that a proof is sent in.
fn proof_name_fault(name: &str) -> Option<String> {
    let proves = is_token(name) && OF_AUTH.contains(&name.to_ascii_lowercase().as_str());
    if proves { None } else { name_fault(name) }
}

fn name_fault(name: &str) -> Option<String> {
    let lower = name.to_ascii_lowercase();
    if !is_token(name) || name.len() > MAX_HEADER_NAME_BYTES {
        Some("no name of a header: write letters, digits and `-`".to_owned())
    } else if OF_AUTH.contains(&lower.as_str()) {
        Some("proves who we are: write it into `auth`, with a reference to the secret".to_owned())
    } else if OF_THE_CALL.contains(&lower.as_str()) {
        Some("is set for each call as the call needs it: leave it out".to_owned())
    } else {
        None
    }
}

/// What is wrong with the value of a header; does not show it.
fn value_fault(value: &str) -> Option<String> {
    if value.len() > MAX_HEADER_VALUE_BYTES {
        Some(format!("{} bytes, the most is {MAX_HEADER_VALUE_BYTES}", value.len()))
    } else if value.chars().any(|c| c != ' ' && !c.is_ascii_graphic()) {
        Some("holds what no header can: write visible ASCII characters and spaces".to_owned())
    } else {
        None
    }
}

/// Whether a text is a `token` of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
