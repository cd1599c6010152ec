//! Breezy HR: `GET /v3/company/{company}/positions`, then `.../position/{id}/candidates` for each, and
//! `.../position/{id}/candidate/{id}` for the jobs of one, after a connector that runs against it. People
//! take turns over three positions, and nobody is in the fourth. Faults call the pages of the first position
//! 1, 2, .., those of the second 1001, .., and that of the positions 0.
//!
//! Unconfirmed: `page` and `page_size` and their largest value, the limit (60 a minute here), the body of
//! errors, and the path of the detail call.

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

const POSITIONS: [&str; 4] = ["position-1", "position-2", "position-3", "position-4"];
/// How many of them have candidates.
const TURNS: u64 = 3;

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
    let of_company = desk.behind_company("/v3/company/");
    let path = of_company.strip_prefix("/position/").unwrap_or_default();
    let (position, rest) = path.split_once('/').unwrap_or_default();
    let turn = POSITIONS.iter().position(|name| *name == position);
    match (turn, rest.strip_prefix("candidate")) {
        (Some(turn), Some("s")) => list(desk, turn as u64),
        (Some(turn), Some(candidate)) => detail(desk, turn as u64, candidate.trim_start_matches('/')),
        _ => {
            desk.route_at(of_company, Method::GET, "/positions")?;
            desk.draw_fault(0)?;
            let positions = POSITIONS.map(|id| json!({"_id": id, "name": id, "state": "published"}));
            Ok(Reply::value(StatusCode::OK, &json!(positions)))
        }
    }
}

fn list(desk: &mut Desk<'_>, turn: u64) -> Result<Reply, Reply> {
    let size = desk.number("page_size", 1..=50, 50)?;
    let place = (desk.number("page", 1..=u32::MAX.into(), 1)? - 1) * size;
    let total = if turn < TURNS { desk.people().saturating_sub(turn).div_ceil(TURNS) } else { 0 };
    desk.pages_before = 1000 * turn as u32;
    let page = desk.list_by(total, place, size, |place| turn + place * TURNS)?;
    Ok(Reply::value(StatusCode::OK, &page.show(candidate).into()))
}

fn detail(desk: &mut Desk<'_>, turn: u64, id: &str) -> Result<Reply, Reply> {
    let person = desk.person(id)?;
    if person.index % TURNS != turn {
        return Err(desk.error(StatusCode::NOT_FOUND, "the candidate is in another position"));
    }
    let mut body = candidate(&person);
    body["work_history"] = person
        .jobs(|job| {
            json!({
                "company_name": job["company"], "title": job["title"], "summary": job["description"],
                "start_date": date(&job["start_date"]), "end_date": date(&job["end_date"]),
            })
        })
        .into();
    Ok(Reply::value(StatusCode::OK, &body))
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
