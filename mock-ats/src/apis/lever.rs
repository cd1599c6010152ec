//! Lever: `GET /v1/opportunities` and `GET /v1/opportunities/deleted`, after syncs that run against them.
//! Faults call the pages of the deleted 1001, 1002, ..
//!
//! The limit of 10 a second with a burst of 20 is 20 in any two seconds here. Unconfirmed: the words of
//! errors other than the status; no header tells the limit; of the deleted all but the path,
//! `deleted_at_start` and the id.

use std::time::Duration;

use chrono::DateTime;
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::{Description, untold},
    desk::{Desk, Page},
    person::{Person, first_updated_since, uuid},
};
use crate::Reply;

pub(super) const API: Description = Description {
    name: "lever",
    calls: 20,
    window: Duration::from_secs(2),
    unauthorized: (StatusCode::UNAUTHORIZED, "Unauthorized"),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "Invalid offset token"),
    retry_after: false,
    external_id: uuid,
    error,
    with_quota: untold,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.basic_user())?;
    if desk.call.path.trim_end_matches('/').ends_with("/deleted") {
        desk.route(Method::GET, "/v1/opportunities/deleted")?;
        let since = desk.number("deleted_at_start", 0..=i64::MAX as u64, 0)?;
        let (place, size) = place_and_size(desk)?;
        return Ok(reply(&desk.gone(since, place, size)?, |person| json!({"id": uuid(person.index)})));
    }
    desk.route(Method::GET, "/v1/opportunities")?;
    let (place, size) = place_and_size(desk)?;
    Ok(reply(&desk.list(since(desk)?, place, size)?, opportunity))
}

fn place_and_size(desk: &Desk<'_>) -> Result<(u64, u64), Reply> {
    Ok((desk.place(desk.param("offset"))?, desk.number("limit", 1..=100, 100)?))
}

fn reply(page: &Page, show: fn(&Person) -> Value) -> Reply {
    let mut body = json!({"data": page.show(show), "hasNext": page.has_more()});
    if let Some(token) = page.token() {
        body["next"] = token.into();
    }
    Reply::value(StatusCode::OK, &body)
}

/// `updated_at_start` is in milliseconds since 1970, inclusive.
fn since(desk: &Desk<'_>) -> Result<u64, Reply> {
    let milliseconds = desk.number("updated_at_start", 0..=i64::MAX as u64, 0)?;
    let time = DateTime::from_timestamp_millis(milliseconds as i64);
    Ok(first_updated_since(time.ok_or_else(|| desk.bad_request("updated_at_start is no time"))?))
}

fn opportunity(person: &Person) -> Value {
    json!({
        "id": uuid(person.index),
        "name": person.name(),
        "headline": person.headline,
        "emails": [person.email()],
        "phones": [{"type": "mobile", "value": person.phone()}],
        "links": links(person),
        "tags": person.skills,
        "updatedAt": person.updated_at.timestamp_millis(),
        "isAnonymized": false,
    })
}

/// Every third person has a page at GitHub.
fn links(person: &Person) -> Vec<String> {
    let is_third = person.index.is_multiple_of(3);
    is_third.then(|| format!("https://www.github.com/person-{}/", person.index)).into_iter().collect()
}

fn error(status: StatusCode, detail: &str) -> Reply {
    let code = status.canonical_reason().unwrap_or("Error").replace(' ', "");
    Reply::value(status, &json!({"code": code, "message": detail}))
}
