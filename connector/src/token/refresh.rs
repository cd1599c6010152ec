use resume_core::source::definition::Secret;

use super::{Token, endpoint::Endpoint, kept::Kept};
use crate::{CallError, secret::Secrets};

/// Asks for a token with a refresh token, and keeps the refresh token that is given in its place, before the
/// token is used: RFC 6749, section 6. Processes that share the file do so one after the other.
///
/// Goes on to its end when the caller goes away: what was asked for must be kept. A process that is killed
/// between the answer and the change of the file loses what it was given; only an endpoint that goes on to
/// take the old refresh token for a while helps then.
///
/// # Errors
/// Those of the endpoint and of secrets; `token_not_kept`.
pub(super) async fn refresh(
    endpoint: Endpoint,
    secrets: &Secrets,
    secret: &Secret,
) -> Result<Token, CallError> {
    let (secrets, secret) = (secrets.clone(), secret.clone());
    let asking = tokio::spawn(async move {
        let kept = Kept::hold(secrets.file(&secret)?).await?;
        // Under the lock: another process may have changed it while this one waited.
        let refresh_token = secrets.read(&secret).await?;
        let granted = endpoint.ask("refresh_token", &[("refresh_token", refresh_token.reveal())]).await?;
        if let Some(next) = granted.refresh_token.filter(|next| *next != refresh_token) {
            kept.replace(next).await?;
            tracing::debug!("a refresh token was replaced");
        }
        Ok(granted.token)
    });
    match asking.await {
        Ok(token) => token,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
