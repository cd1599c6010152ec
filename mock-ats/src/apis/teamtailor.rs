//! Teamtailor: `GET /v1/candidates` (JSON:API), after connectors that run against it.
//!
//! Unconfirmed: the limit of 50 in 10 seconds, the names of its headers but that of the reset, the parameter
//! `filter[updated-at][from]`, and what a call without `X-Api-Version` gets.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::Description,
    desk::Desk,
    person::{Person, number},
};
use crate::{Reply, limiter::Quota};

pub(super) const API: Description = Description {
    name: "teamtailor",
    calls: 50,
    window: Duration::from_secs(10),
    unauthorized: (StatusCode::UNAUTHORIZED, "Unauthorized"),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "this page has expired"),
    retry_after: false,
    external_id: number,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    let token =
        desk.header("authorization").and_then(|value| Some(value.strip_prefix("Token token=")?.to_owned()));
    desk.admit(token)?;
    if desk.header("x-api-version").is_none() {
        return Err(desk.error(StatusCode::NOT_ACCEPTABLE, "X-Api-Version is missing"));
    }
    desk.route(Method::GET, "/v1/candidates")?;
    let size = desk.number("page[size]", 1..=30, 10)?;
    let place = (desk.number("page[number]", 1..=u32::MAX.into(), 1)? - 1) * size;
    let page = desk.list(desk.since("filter[updated-at][from]")?, place, size)?;
    let since = desk.param("filter[updated-at][from]").map_or_else(String::new, |since| {
        format!("&filter%5Bupdated-at%5D%5Bfrom%5D={}", since.replace('+', "%2B"))
    });
    let link = |place: u64, size: u64| {
        let (base_url, number) = (&desk.call.base_url, place / size + 1);
        format!("{base_url}/v1/candidates?page%5Bnumber%5D={number}&page%5Bsize%5D={size}{since}")
    };
    let mut links = json!({"first": link(0, size)});
    if let Some((place, size)) = page.next_place() {
        links["next"] = link(place, size).into();
    }
    let meta = json!({"record-count": page.total, "page-count": page.total.div_ceil(size)});
    let body = json!({"data": page.show(candidate), "links": links, "meta": meta});
    Ok(Reply { content_type: "application/vnd.api+json", ..Reply::value(StatusCode::OK, &body) })
}

fn candidate(person: &Person) -> Value {
    json!({
        "id": number(person.index),
        "type": "candidates",
        "attributes": {
            "first-name": person.first_name,
            "last-name": person.last_name,
            "email": person.email(),
            "phone": person.phone(),
            "pitch": person.headline,
            "tags": person.skills,
            "created-at": person.created(),
            "updated-at": person.updated(),
        },
    })
}

fn error(status: StatusCode, detail: &str) -> Reply {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = json!({"errors": [{"status": status.as_str(), "title": title, "detail": detail}]});
    Reply { content_type: "application/vnd.api+json", ..Reply::value(status, &body) }
}

/// The reset is in seconds from now.
fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply
        .with("x-rate-limit-limit", quota.limit)
        .with("x-rate-limit-remaining", quota.remaining)
        .with("x-rate-limit-reset", quota.reset_after.as_secs() + 1)
}
