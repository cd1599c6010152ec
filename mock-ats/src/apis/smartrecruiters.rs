//! `SmartRecruiters`: `GET /candidates`, after clients that run against it.
//!
//! Unconfirmed: the largest `limit`, the body of errors, and that `nextPageId` is missing on the last page.
//! The real API also refuses a second call at the same time; this one only tells so in its headers.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::Description,
    desk::Desk,
    person::{Person, uuid},
};
use crate::{Reply, limiter::Quota};

pub(super) const API: Description = Description {
    name: "smartrecruiters",
    calls: 10,
    window: Duration::from_secs(1),
    unauthorized: (StatusCode::UNAUTHORIZED, "Invalid token"),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "Invalid pageId"),
    retry_after: false,
    external_id: uuid,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.header("x-smarttoken"))?;
    desk.route(Method::GET, "/candidates")?;
    let size = desk.number("limit", 1..=100, 10)?;
    let place = desk.place(desk.param("pageId"))?;
    let page = desk.list(desk.since("updatedAfter")?, place, size)?;
    let mut body = json!({"limit": size, "totalFound": page.total, "content": page.show(candidate)});
    if let Some(token) = page.token() {
        body["nextPageId"] = token.into();
    }
    Ok(Reply::value(StatusCode::OK, &body))
}

fn candidate(person: &Person) -> Value {
    let (institution, degree, major) = person.education();
    json!({
        "id": uuid(person.index),
        "firstName": person.first_name,
        "lastName": person.last_name,
        "email": person.email(),
        "phoneNumber": person.phone(),
        "createdOn": person.created(),
        "updatedOn": person.updated(),
        "tags": person.skills,
        "experience": person.jobs(|job| json!({
            "company": job["company"], "title": job["title"], "current": job["end_date"].is_null(),
            "startDate": job["start_date"], "endDate": job["end_date"], "description": job["description"],
        })),
        "education": [{"institution": institution, "degree": degree, "major": major}],
    })
}

fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"message": detail, "errors": [{"message": detail}]}))
}

fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply
        .with("x-ratelimit-limit", quota.limit)
        .with("x-ratelimit-remaining", quota.remaining)
        .with("x-ratelimit-concurrent-limit", 1)
        .with("x-ratelimit-concurrent-remaining", 0)
}
