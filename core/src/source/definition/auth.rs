use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One proof of who we are. A source may want several.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Auth {
    /// `Authorization: Basic`, RFC 7617.
    Basic {
        /// The user; for many systems the API key.
        user: Secret,
        /// The password; empty by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        password: Option<Secret>,
    },
    /// `Authorization: Bearer`, RFC 6750.
    Bearer(Secret),
    /// A header of the system's own.
    Header {
        /// The header's name.
        name: String,
        /// What stands before the secret in its value, such as `Token token=`.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
        /// The secret.
        value: Secret,
    },
    /// A bearer token that a token endpoint gives for a client's own credentials: RFC 6749, section 4.4.
    /// Asked for anew when it has expired, or is refused with 401 or 403.
    ClientCredentials {
        /// The token endpoint.
        token_url: String,
        /// The client's id.
        client_id: Secret,
        /// The client's secret.
        client_secret: Secret,
        /// What the token shall allow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
    /// A bearer token that a token endpoint gives for a refresh token: RFC 6749, section 6. Asked for anew
    /// when it has expired, or is refused with 401 or 403. An endpoint that gives another refresh token with
    /// it wants that one the next time, so it is written into the file of the old one.
    RefreshToken {
        /// The token endpoint.
        token_url: String,
        /// The client's id.
        client_id: Secret,
        /// The client's secret; none for a client that has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_secret: Option<Secret>,
        /// The refresh token: `file:/path`, which this process can write to, and beside which it can write.
        refresh_token: Secret,
        /// What the token shall allow.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        scope: Option<String>,
    },
    /// A token that a login gives, a `POST` with a JSON object of secrets. Asked for anew once a day, and
    /// when it is refused with 401 or 403.
    Login {
        /// The address of the login.
        url: String,
        /// The members of the object.
        body: BTreeMap<String, Secret>,
        /// Where the token is in the answer, as a JSON Pointer.
        token: String,
        /// The header that the token is sent in; `Authorization` by default.
        #[serde(default = "authorization", skip_serializing_if = "is_authorization")]
        header: String,
        /// What stands before the token in the header's value, such as `Bearer `; nothing by default.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        prefix: String,
    },
}

fn authorization() -> String {
    "Authorization".to_owned()
}

fn is_authorization(header: &str) -> bool {
    header == "Authorization"
}

impl Auth {
    /// The field with the address that a token is asked for at, and that address, where one is.
    pub(super) fn token_address(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::ClientCredentials { token_url, .. } => Some(("client_credentials/token_url", token_url)),
            Self::RefreshToken { token_url, .. } => Some(("refresh_token/token_url", token_url)),
            Self::Login { url, .. } => Some(("login/url", url)),
            Self::Basic { .. } | Self::Bearer(_) | Self::Header { .. } => None,
        }
    }
}

/// Where a secret is: `env:RESUME_SECRET_NAME`, a variable of the environment, or `file:/path`, the first
/// line of a file. The secret itself is read by the process that makes the call, when it makes it; it is
/// never stored, logged or shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(#[schemars(regex(pattern = r"^(env:RESUME_SECRET_[A-Za-z0-9_]+|file:/.+)$"))] String);

/// The two places where a secret can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretPlace<'a> {
    /// A variable of the environment.
    Env(&'a str),
    /// A file, by its absolute path.
    File(&'a str),
}

impl Secret {
    /// What a variable must begin with to be given to a source: whoever adds one says where its secrets are
    /// sent.
    pub const VARIABLE_PREFIX: &str = "RESUME_SECRET_";

    /// Refers to a secret.
    pub fn new(reference: impl Into<String>) -> Self {
        Self(reference.into())
    }

    /// Where it is; `None` when it is written in no form that is known, as a secret itself would be.
    pub fn place(&self) -> Option<SecretPlace<'_>> {
        if let Some(name) = self.0.strip_prefix("env:") {
            let mut bytes = name.bytes();
            let is_name = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
                && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return is_name.then_some(SecretPlace::Env(name));
        }
        let path = self.0.strip_prefix("file:")?;
        path.starts_with('/').then_some(SecretPlace::File(path))
    }
}
