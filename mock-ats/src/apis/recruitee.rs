//! Recruitee: `GET /c/{company}/candidates`, and `/c/{company}/candidates/{id}` for the `fields` of one,
//! after connectors that run against it.
//!
//! Unconfirmed: the limit (not
//! published; 10 a second here), the default of `limit` and the body of errors.

use std::time::Duration;

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::{Description, untold},
    desk::Desk,
    person::{Person, number},
};
use crate::Reply;

pub(super) const API: Description = Description {
    name: "recruitee",
    calls: 10,
    window: Duration::from_secs(1),
    unauthorized: (StatusCode::UNAUTHORIZED, "Invalid token"),
    bad_request: StatusCode::BAD_REQUEST,
    expired: (StatusCode::BAD_REQUEST, "offset is no longer valid"),
    retry_after: false,
    external_id: number,
    error,
    with_quota: untold,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    desk.admit(desk.bearer())?;
    let path = desk.behind_company("/c/");
    if let Some(id) = path.strip_prefix("/candidates/").filter(|id| !id.is_empty()) {
        let person = desk.person(id)?;
        return Ok(Reply::value(StatusCode::OK, &json!({"candidate": detail(&person)})));
    }
    desk.route_at(path, Method::GET, "/candidates")?;
    let size = desk.number("limit", 1..=1000, 60)?;
    let place = desk.number("offset", 0..=u32::MAX.into(), 0)?;
    let page = desk.list(desk.since("created_after")?, place, size)?;
    Ok(Reply::value(StatusCode::OK, &json!({"candidates": page.show(candidate)})))
}

fn candidate(person: &Person) -> Value {
    json!({
        "id": person.index + 1,
        "name": person.name(),
        "emails": [person.email()],
        "phones": [person.phone()],
        "created_at": person.created(),
        "updated_at": person.updated(),
    })
}

fn detail(person: &Person) -> Value {
    let (school, degree, major) = person.education();
    let texts = |list: &Value| -> Vec<Value> {
        list.as_array().into_iter().flatten().map(|text| json!({"text": text})).collect()
    };
    let mut body = candidate(person);
    body["fields"] = json!([
        {"kind": "skills", "values": texts(&person.skills)},
        {"kind": "experience", "values": person.work},
        {"kind": "education", "values": [{"school": school, "degree": degree, "major": major}]},
    ]);
    body
}

fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"error": [detail]}))
}
