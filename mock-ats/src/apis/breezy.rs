//! Breezy HR: `GET /v3/company/mock-company/positions`, then `.../position/{id}/candidates` for each, after a
//! connector that runs against it. People take turns over three positions.
//!
//! Unconfirmed: `page` and `page_size` and their largest value, the limit (60 a minute here) and the body of
//! errors. The real list has no jobs, which its detail call has.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::Description,
    desk::Desk,
    greenhouse_v1::epoch_seconds_in,
    person::{Person, uuid},
};
use crate::{Reply, limiter::Quota};

const POSITIONS: [&str; 3] = ["position-1", "position-2", "position-3"];

pub(super) const API: Description = Description {
    name: "breezy",
    calls: 60,
    window: Duration::from_secs(60),
    unauthorized: (StatusCode::UNAUTHORIZED, "Unauthorized"),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "this page has expired"),
    retry_after: false,
    external_id: uuid,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.header("authorization"))?;
    let path = desk.call.path.strip_prefix("/v3/company/mock-company/position/");
    let position = path.and_then(|path| path.strip_suffix("/candidates"));
    let Some(turn) = POSITIONS.iter().position(|name| Some(*name) == position) else {
        desk.route(Method::GET, "/v3/company/mock-company/positions")?;
        let positions = POSITIONS.map(|id| json!({"_id": id, "name": id, "state": "published"}));
        return Ok(Reply::value(StatusCode::OK, &json!(positions)));
    };
    let size = desk.number("page_size", 1..=50, 50)?;
    let place = (desk.number("page", 1..=u32::MAX.into(), 1)? - 1) * size;
    let (turn, turns) = (turn as u64, POSITIONS.len() as u64);
    let total = desk.people().saturating_sub(turn).div_ceil(turns);
    let page = desk.list_by(total, place, size, |place| turn + place * turns)?;
    Ok(Reply::value(StatusCode::OK, &page.show(candidate).into()))
}

fn candidate(person: &Person) -> Value {
    json!({
        "_id": uuid(person.index),
        "name": person.name(),
        "headline": person.headline,
        "email_address": person.email(),
        "phone_number": person.phone(),
        "tags": person.skills,
        "creation_date": person.created(),
        "updated_date": person.updated(),
        "work_history": person.jobs(|job| json!({
            "company_name": job["company"], "title": job["title"], "summary": job["description"],
            "start_date": date(&job["start_date"]), "end_date": date(&job["end_date"]),
        })),
    })
}

/// `2024-07-01` as year, month and day.
fn date(date: &Value) -> Option<Value> {
    let mut parts = date.as_str()?.split('-').map(|part| part.parse::<u32>().ok());
    Some(json!({"year": parts.next()?, "month": parts.next()?, "day": parts.next()?}))
}

fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"error": {"type": status.as_u16(), "message": detail}}))
}

/// The reset is in seconds since 1970.
fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply.with("x-ratelimit-reset", epoch_seconds_in(quota.reset_after))
}
