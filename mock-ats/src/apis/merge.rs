//! Merge ATS: `GET /api/ats/v1/candidates`, after its published client. The account's token is
//! `mock-account`.
//!
//! With `include_deleted_data` those who have gone are listed, as `remote_was_deleted`.
//!
//! Unconfirmed: the limit (by plan; 100 a minute here), the largest `page_size` and the body of errors.

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
    name: "merge",
    calls: 100,
    window: Duration::from_secs(60),
    unauthorized: (StatusCode::UNAUTHORIZED, "Invalid API key or account token."),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "Invalid cursor"),
    retry_after: true,
    external_id: uuid,
    error,
    with_quota: untold,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    let account = desk.header("x-account-token").filter(|token| token == "mock-account");
    desk.admit(account.and_then(|_| desk.bearer()))?;
    desk.route(Method::GET, "/api/ats/v1/candidates")?;
    let size = desk.number("page_size", 1..=100, 100)?;
    let place = desk.place(desk.param("cursor"))?;
    let since = desk.since("modified_after")?;
    let page = match desk.param("include_deleted_data") {
        Some("true") => desk.list_with_gone(since, place, size)?,
        _ => desk.list(since, place, size)?,
    };
    let body = json!({"next": page.token(), "previous": null, "results": page.show(candidate)});
    Ok(Reply::value(StatusCode::OK, &body))
}

fn candidate(person: &Person) -> Value {
    json!({
        "id": uuid(person.index),
        "first_name": person.first_name,
        "last_name": person.last_name,
        "title": person.headline,
        "company": person.work.first().map(|job| &job["company"]),
        "email_addresses": [{"value": person.email(), "email_address_type": "PERSONAL"}],
        "phone_numbers": [{"value": person.phone(), "phone_number_type": "MOBILE"}],
        "tags": person.skills,
        "attachments": [],
        "created_at": person.created(),
        "modified_at": person.updated(),
        "remote_was_deleted": person.is_gone,
    })
}

fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"detail": detail}))
}
