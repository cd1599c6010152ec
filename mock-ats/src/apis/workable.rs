//! Workable: `GET /spi/v3/candidates`, and `/spi/v3/candidates/{id}` for the jobs and skills of one, after
//! syncs and recorded headers.
//!
//! Unconfirmed: the body of errors, and that a refusal has no `Retry-After`. `since_id` is a place here, not
//! an id.

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

pub(super) const API: Description = Description {
    name: "workable",
    calls: 10,
    window: Duration::from_secs(10),
    unauthorized: (StatusCode::UNAUTHORIZED, "Not authorized"),
    bad_request: StatusCode::UNPROCESSABLE_ENTITY,
    expired: (StatusCode::UNPROCESSABLE_ENTITY, "since_id is unknown"),
    retry_after: false,
    external_id: uuid,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.bearer())?;
    if let Some(id) = desk.call.path.strip_prefix("/spi/v3/candidates/").filter(|id| !id.is_empty()) {
        let person = desk.person(id)?;
        return Ok(Reply::value(StatusCode::OK, &json!({"candidate": detail(&person)})));
    }
    desk.route(Method::GET, "/spi/v3/candidates")?;
    let size = desk.number("limit", 1..=100, 50)?;
    let place = desk.place(desk.param("since_id"))?;
    let page = desk.list(desk.since("updated_after")?, place, size)?;
    let mut body = json!({"candidates": page.show(candidate)});
    if let (Some(token), Some((_, size))) = (page.token(), page.next_place()) {
        let since =
            desk.param("updated_after").map(|since| format!("&updated_after={}", since.replace('+', "%2B")));
        let since = since.unwrap_or_default();
        let base_url = &desk.call.base_url;
        body["paging"]["next"] =
            format!("{base_url}/spi/v3/candidates?limit={size}&since_id={token}{since}").into();
    }
    Ok(Reply::value(StatusCode::OK, &body))
}

fn candidate(person: &Person) -> Value {
    json!({
        "id": uuid(person.index),
        "name": person.name(),
        "firstname": person.first_name,
        "lastname": person.last_name,
        "headline": person.headline,
        "email": person.email(),
        "phone": person.phone(),
        "created_at": person.created(),
        "updated_at": person.updated(),
    })
}

fn detail(person: &Person) -> Value {
    let (school, degree, field_of_study) = person.education();
    let mut body = candidate(person);
    body["skills"] = person.named_skills().into();
    body["experience_entries"] = person
        .jobs(|job| {
            json!({
                "company": job["company"], "title": job["title"], "summary": job["description"],
                "start_date": job["start_date"], "end_date": job["end_date"],
            })
        })
        .into();
    body["education_entries"] =
        json!([{"school": school, "degree": degree, "field_of_study": field_of_study}]);
    body
}

fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"error": detail}))
}

/// The reset is in seconds since 1970.
fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    reply
        .with("x-rate-limit-limit", quota.limit)
        .with("x-rate-limit-remaining", quota.remaining)
        .with("x-rate-limit-reset", epoch_seconds_in(quota.reset_after))
}
