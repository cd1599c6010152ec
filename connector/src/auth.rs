use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, HeaderName, HeaderValue},
};
use resume_core::source::definition::{Auth, Definition, Secret};

use crate::{
    CallError,
    client::Clients,
    secret::{Secrets, place_of},
    token::{Loan, Tokens},
};

/// Puts what proves who we are into a request; all marked as sensitive, so that nobody logs them. Gives the
/// token that was used, where one had to be asked for.
///
/// # Errors
/// Those of secrets, and those of a token endpoint that has to be asked.
pub(crate) async fn prove(
    mut request: RequestBuilder,
    definition: &Definition,
    clients: &Clients,
    (tokens, secrets): (&Tokens, &Secrets),
) -> Result<(RequestBuilder, Option<Loan>), CallError> {
    let mut used = None;
    for (index, auth) in definition.auth.iter().enumerate() {
        request = match auth {
            Auth::Basic { user, password } => {
                let user = secrets.read(user).await?;
                let password = match password {
                    Some(password) => Some(secrets.read(password).await?),
                    None => None,
                };
                request.basic_auth(user.reveal(), password.as_ref().map(|password| password.reveal()))
            }
            Auth::Bearer(secret) => {
                request.header(AUTHORIZATION, header_value(secrets, "Bearer ", secret).await?)
            }
            Auth::Header { name, prefix, value } => {
                let name = HeaderName::try_from(name)
                    .map_err(|_| CallError::InvalidRequest(format!("{name:?} is no name of a header")))?;
                request.header(name, header_value(secrets, prefix, value).await?)
            }
            Auth::ClientCredentials { .. } | Auth::RefreshToken { .. } | Auth::Login { .. } => {
                let loan = tokens.borrow(clients, secrets, definition, index).await?;
                let (name, value) = loan.header();
                let request = request.header(name, value);
                used = Some(loan);
                request
            }
        };
    }
    Ok((request, used))
}

async fn header_value(secrets: &Secrets, prefix: &str, secret: &Secret) -> Result<HeaderValue, CallError> {
    let text = secrets.read(secret).await?;
    let mut value = HeaderValue::try_from(format!("{prefix}{}", text.reveal())).map_err(|_| {
        CallError::SecretInvalid(format!("{} holds characters that a header cannot have", place_of(secret)))
    })?;
    value.set_sensitive(true);
    Ok(value)
}
