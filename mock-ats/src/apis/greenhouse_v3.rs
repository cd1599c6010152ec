//! Greenhouse Harvest v3: `GET /v3/candidates` with a token from `POST /token`, after a connector that runs
//! against it. The client `mock-client` proves itself with the credential, by `Authorization: Basic`.
//!
//! Newest first; a cursor suffers no other parameter. Unconfirmed: the limit in the 30 seconds (150 here),
//! the unit of the reset (seconds since 1970 here), the form of the token's call, and the bodies of errors.
//! Tokens end after a number of calls and not by the clock, so that tests need not wait.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::json;

use super::{
    description::Description,
    desk::Desk,
    greenhouse_v1::{candidate, epoch_seconds_in, error},
    person::number,
};
use crate::{Reply, limiter::Quota};

pub(super) const API: Description = Description {
    name: "greenhouse-v3",
    calls: 150,
    window: Duration::from_secs(30),
    unauthorized: (StatusCode::UNAUTHORIZED, "the access token is missing, wrong or expired"),
    bad_request: StatusCode::UNPROCESSABLE_ENTITY,
    expired: (StatusCode::UNPROCESSABLE_ENTITY, "invalid cursor"),
    retry_after: true,
    external_id: number,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    if desk.call.path == "/token" {
        desk.route(Method::POST, "/token")?;
        let access_token = desk.issue_token("mock-client")?;
        let body = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 3600});
        return Ok(Reply::value(StatusCode::OK, &body));
    }
    desk.admit_token()?;
    desk.route(Method::GET, "/v3/candidates")?;
    let (place, size, first) = match desk.param("cursor") {
        Some(_) if desk.call.query.len() > 1 => {
            return Err(desk.bad_request("a request with cursor must carry no other parameter"));
        }
        Some(cursor) => position(cursor).ok_or_else(|| desk.expired())?,
        None => (0, desk.number("per_page", 1..=500, 100)?, desk.since_from("updated_at", "gte|")?),
    };
    let people = desk.people();
    let page = desk.list_by(people.saturating_sub(first), place, size, |place| people - 1 - place)?;
    let reply = Reply::value(StatusCode::OK, &page.show(candidate).into());
    let Some((place, size)) = page.next_place() else { return Ok(reply) };
    let base_url = &desk.call.base_url;
    Ok(reply.with("link", format!(r#"<{base_url}/v3/candidates?cursor={place}.{size}.{first}>; rel="next""#)))
}

/// Place, size and first person of a cursor.
fn position(cursor: &str) -> Option<(u64, u64, u64)> {
    let mut parts = cursor.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()?.filter(|size| (1..=500).contains(size))?, parts.next()??))
}

fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply
        .with("x-ratelimit-remaining", quota.remaining)
        .with("x-ratelimit-reset", epoch_seconds_in(quota.reset_after))
}
