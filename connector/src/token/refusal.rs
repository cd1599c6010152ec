use serde_json::Value;

use super::failure::failure;
use crate::{TokenError, page::cleaned};

/// A text that is shorter says nothing of a secret, even if it is one.
const SECRET_BYTES_MIN: usize = 4;

/// An answer that holds an error in place of a token, whatever its status: RFC 6749, section 5.2, and what
/// systems make of it.
pub(super) struct Refusal {
    code: Option<String>,
}

impl Refusal {
    /// Reads one; `None` when the answer tells of no error.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(answer)) = serde_json::from_slice(body) else { return None };
        let error = ["error", "errors", "error_code", "errorCode"]
            .into_iter()
            .find_map(|name| answer.get(name).filter(|value| !is_nothing(value)));
        let denies = |name| answer.get(name).is_some_and(|value| *value == Value::Bool(false));
        let is_error = |name| {
            let text = answer.get(name).and_then(Value::as_str).unwrap_or_default();
            ["error", "fail", "failed", "failure"].contains(&text.to_ascii_lowercase().as_str())
        };
        let is_refusal = error.is_some() || denies("ok") || denies("success") || is_error("status");
        is_refusal.then(|| Self { code: error.or_else(|| answer.get("code")).and_then(code) })
    }

    /// The endpoint's own code, unless it holds one of these secrets.
    pub(super) fn code<'a>(&self, mut secrets: impl Iterator<Item = &'a str>) -> Option<&str> {
        let code = self.code.as_deref()?;
        let holds = |secret: &str| {
            let secret = cleaned(secret).unwrap_or_default();
            secret.len() >= SECRET_BYTES_MIN && code.contains(&secret)
        };
        (!secrets.any(holds)).then_some(code)
    }

    /// The error of an answer that was a success by its status.
    pub(super) fn error<'a>(&self, secrets: impl Iterator<Item = &'a str>) -> TokenError {
        match self.code(secrets) {
            Some(code) => {
                failure(&format!("token_refused:{code}"), format!("the token endpoint refuses us: {code}"))
            }
            None => failure("token_refused", "the token endpoint refuses us, without a code".to_owned()),
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(true) => false,
    }
}

/// The code of an error: a text or a number, or that of an object or of the first in a list.
fn code(error: &Value) -> Option<String> {
    match error {
        Value::String(text) => cleaned(text),
        Value::Number(number) => cleaned(&number.to_string()),
        Value::Array(list) => code(list.first()?),
        Value::Object(members) => {
            ["code", "error", "type", "message"].into_iter().find_map(|name| match members.get(name)? {
                text @ (Value::String(_) | Value::Number(_)) => code(text),
                _ => None,
            })
        }
        Value::Null | Value::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_code(body: &str) -> Option<String> {
        Refusal::read(body.as_bytes()).map(|refusal| refusal.error(["hunter2"].into_iter()).code)
    }

    #[test]
    fn errors_are_told_in_many_ways() {
        for (body, code) in [
            (r#"{"error": "invalid_client"}"#, "token_refused:invalid_client"),
            (r#"{"ok": false, "error": "invalid_auth"}"#, "token_refused:invalid_auth"),
            (r#"{"ok": false}"#, "token_refused"),
            (r#"{"success": false, "code": 17}"#, "token_refused:17"),
            (r#"{"errors": [{"code": "E1"}], "access_token": null}"#, "token_refused:E1"),
            (r#"{"error": {"code": 401, "message": "no"}}"#, "token_refused:401"),
            (r#"{"status": "error", "message": "no"}"#, "token_refused"),
            (r#"{"error": true}"#, "token_refused"),
            (r#"{"error": "no client hunter2"}"#, "token_refused"),
        ] {
            assert_eq!(error_code(body).as_deref(), Some(code), "{body}");
        }
        for body in [
            "",
            "[]",
            "{}",
            r#"{"error": null}"#,
            r#"{"session": "x"}"#,
            r#"{"error": ""}"#,
            r#"{"ok": true}"#,
        ] {
            assert_eq!(error_code(body), None, "{body}");
        }
    }
}
