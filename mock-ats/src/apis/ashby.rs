//! Ashby: `POST /candidate.list`, after its published guide.
//!
//! Errors but that of the credential are told with 200 and `success: false`. Unconfirmed: the limit (no
//! primary source names one; 15 a second here) and the status of a wrong credential.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::{Description, untold},
    desk::Desk,
    person::{Person, uuid},
};
use crate::Reply;

pub(super) const API: Description = Description {
    name: "ashby",
    calls: 15,
    window: Duration::from_secs(1),
    unauthorized: (StatusCode::UNAUTHORIZED, "unauthorized"),
    bad_request: StatusCode::OK,
    expired: (StatusCode::OK, "next_cursor_expired"),
    retry_after: false,
    external_id: uuid,
    error,
    with_quota: untold,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.basic_user())?;
    desk.route(Method::POST, "/candidate.list")?;
    let body: Value = match desk.call.body.as_ref() {
        b"" => json!({}),
        body => serde_json::from_slice(body).map_err(|_| desk.bad_request("invalid_json"))?,
    };
    let size = match &body["limit"] {
        Value::Null => 100,
        limit => limit
            .as_u64()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| desk.bad_request("invalid_limit"))?,
    };
    let place = desk.place(body["cursor"].as_str())?;
    let first = first(desk, body["syncToken"].as_str())?;
    let page = desk.list(first, place, size)?;
    let mut body = json!({
        "success": true, "results": page.show(candidate), "moreDataAvailable": page.has_more(),
    });
    if let Some(token) = page.token() {
        body["nextCursor"] = token.into();
    }
    if !page.has_more() {
        body["syncToken"] = format!("sync_{}", desk.people()).into();
    }
    Ok(Reply::value(StatusCode::OK, &body))
}

/// A sync token stands for the people that were there when it was given; only later ones follow.
fn first(desk: &Desk<'_>, token: Option<&str>) -> Result<u64, Reply> {
    let Some(token) = token else { return Ok(0) };
    let digits = token.strip_prefix("sync_").unwrap_or_default();
    digits.parse().map_err(|_| desk.bad_request("sync_token_invalid"))
}

fn candidate(person: &Person) -> Value {
    json!({
        "id": uuid(person.index),
        "name": person.name(),
        "position": person.headline,
        "company": person.work.first().map(|job| &job["company"]),
        "primaryEmailAddress": {"value": person.email(), "type": "Personal", "isPrimary": true},
        "primaryPhoneNumber": {"value": person.phone(), "type": "Personal", "isPrimary": true},
        "tags": person.skills.as_array().into_iter().flatten().map(|tag| json!({"title": tag})).collect::<Vec<_>>(),
        "createdAt": person.created(),
        "updatedAt": person.updated(),
    })
}

fn error(status: StatusCode, code: &str) -> Reply {
    Reply::value(status, &json!({"success": false, "errors": [code]}))
}
