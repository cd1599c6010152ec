//! Lever: `GET /v1/opportunities`, after syncs that run against it.
//!
//! The limit of 10 a second with a burst of 20 is 20 in any two seconds here. Unconfirmed: the words of errors
//! other than the status; no header tells the limit.

use std::time::Duration;

use chrono::DateTime;
use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::{Description, untold},
    desk::Desk,
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
    desk.route(Method::GET, "/v1/opportunities")?;
    let size = desk.number("limit", 1..=100, 100)?;
    let place = desk.place(desk.param("offset"))?;
    let page = desk.list(since(desk)?, place, size)?;
    let mut body = json!({"data": page.show(opportunity), "hasNext": page.has_more()});
    if let Some(token) = page.token() {
        body["next"] = token.into();
    }
    Ok(Reply::value(StatusCode::OK, &body))
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
        "links": [],
        "tags": person.skills,
        "updatedAt": person.updated_at.timestamp_millis(),
        "isAnonymized": false,
    })
}

fn error(status: StatusCode, detail: &str) -> Reply {
    let code = status.canonical_reason().unwrap_or("Error").replace(' ', "");
    Reply::value(status, &json!({"code": code, "message": detail}))
}
