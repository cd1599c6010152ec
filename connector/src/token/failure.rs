use std::time::Duration;

use reqwest::Response;
use resume_core::source::definition::SILENCE_USUAL;

use super::NotShared;
use crate::{CallError, TokenError, wait::retry_after};

/// The error of a call to a token endpoint, which is not to be taken for one of the source.
pub(super) fn unreachable(error: CallError) -> CallError {
    let (code, detail) = match &error {
        CallError::Timeout(_) => ("token_timeout", "the token endpoint did not answer in time"),
        CallError::Transport(_) => ("token_unreachable", "the token endpoint cannot be reached"),
        CallError::ProxyUnreachable { .. } => return failure("proxy_unreachable", error.to_string()).into(),
        CallError::TooLarge { .. } => return invalid("").into(),
        _ => return error,
    };
    failure(code, detail.to_owned()).into()
}

/// An answer that is no success by its status, with the endpoint's own code for that.
pub(super) fn refused(response: &Response, code: Option<&str>) -> TokenError {
    let status = response.status();
    let code = code.map(|code| format!(": {code}")).unwrap_or_default();
    TokenError {
        code: format!("token_http_{}", status.as_u16()),
        detail: format!("the token endpoint answered {status}{code}"),
        wait: retry_after(response.headers()).unwrap_or_default().min(SILENCE_USUAL),
    }
}

/// An answer without the token that is wanted. Without a word of what was answered: it may hold a token.
pub(super) fn invalid(wanted: &str) -> TokenError {
    failure("token_invalid", format!("the token endpoint's answer is no JSON {wanted}").trim_end().to_owned())
}

/// The refresh token cannot be kept, or could not: what is to be done, the text says.
pub(super) fn not_kept(detail: String) -> CallError {
    failure("token_not_kept", detail).into()
}

/// Whether another process has a token, or fetches one, cannot be found out for now.
pub(super) fn not_shared(error: NotShared) -> CallError {
    failure("token_not_shared", format!("the tokens of the other processes cannot be seen: {error}")).into()
}

/// The wait is told by those who wait.
pub(super) fn failure(code: &str, detail: String) -> TokenError {
    TokenError { code: code.to_owned(), detail, wait: Duration::ZERO }
}
