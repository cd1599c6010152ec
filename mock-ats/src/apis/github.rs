//! GitHub users: `GET /users`, and `GET /users/{login}/repos` for the repositories of one, after recorded
//! headers and general knowledge. The person with index 7 is `person-7`, has a repository for each skill, and
//! a fork of another one.
//!
//! A call over the limit gets 403 and no `Retry-After`. Unconfirmed: all but the headers. A number in `since`
//! is a place here, which is the id of the person before it. `ETag`, the call of one user and further pages
//! of repositories are missing.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::Description,
    desk::Desk,
    greenhouse_v1::epoch_seconds_in,
    person::{Person, number},
};
use crate::{Reply, limiter::Quota};

pub(super) const API: Description = Description {
    name: "github",
    calls: 5_000,
    window: Duration::from_secs(3_600),
    unauthorized: (StatusCode::UNAUTHORIZED, "Bad credentials"),
    bad_request: StatusCode::UNPROCESSABLE_ENTITY,
    expired: (StatusCode::UNPROCESSABLE_ENTITY, "since is no longer valid"),
    retry_after: false,
    external_id: number,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.bearer())?;
    let of_one = desk.call.path.strip_prefix("/users/").and_then(|path| path.strip_suffix("/repos"));
    if let Some(login) = of_one {
        return repositories(desk, login);
    }
    desk.route(Method::GET, "/users")?;
    let size = desk.number("per_page", 1..=100, 30)?;
    let since = desk.number("since", 0..=u32::MAX.into(), 0)?;
    let page = desk.list(0, since, size)?;
    let reply = Reply::value(StatusCode::OK, &page.show(user).into());
    let Some((place, size)) = page.next_place() else { return Ok(reply) };
    let base_url = &desk.call.base_url;
    Ok(reply.with("link", format!(r#"<{base_url}/users?per_page={size}&since={place}>; rel="next""#)))
}

fn repositories(desk: &mut Desk<'_>, login: &str) -> Result<Reply, Reply> {
    desk.route(Method::GET, &format!("/users/{login}/repos"))?;
    desk.number("per_page", 1..=100, 30)?;
    let index = login.strip_prefix("person-").and_then(|index| index.parse::<u64>().ok());
    let id = index.map(number).unwrap_or_default();
    let person = desk.person(&id)?;
    let repository = |(language, is_fork): (&Value, bool)| {
        json!({
            "name": "work", "fork": is_fork, "language": language, "topics": [],
            "owner": {"login": login, "html_url": format!("https://github.com/{login}")},
        })
    };
    let fork = Value::from("Brainfuck");
    let own = person.skills.as_array().into_iter().flatten().map(|skill| (skill, false));
    let all: Vec<Value> = own.chain([(&fork, true)]).map(repository).collect();
    Ok(Reply::value(StatusCode::OK, &all.into()))
}

fn user(person: &Person) -> Value {
    let login = format!("person-{}", person.index);
    json!({
        "login": login,
        "id": person.index + 1,
        "type": "User",
        "html_url": format!("https://github.example/{login}"),
        "name": person.name(),
        "bio": person.headline,
        "email": person.email(),
    })
}

/// Here 429 is 403.
fn error(status: StatusCode, detail: &str) -> Reply {
    let status = if status == StatusCode::TOO_MANY_REQUESTS { StatusCode::FORBIDDEN } else { status };
    Reply::value(status, &json!({"message": detail, "documentation_url": "https://docs.github.com/rest"}))
}

/// The reset is in seconds since 1970.
fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply
        .with("x-ratelimit-limit", quota.limit)
        .with("x-ratelimit-remaining", quota.remaining)
        .with("x-ratelimit-used", quota.limit.saturating_sub(quota.remaining))
        .with("x-ratelimit-reset", epoch_seconds_in(quota.reset_after))
        .with("x-ratelimit-resource", "core")
}
