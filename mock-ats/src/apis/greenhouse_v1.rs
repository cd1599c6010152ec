//! Greenhouse Harvest v1: `GET /v1/candidates`, after its published documentation. One person in twenty has
//! files, at signed addresses on another host (`localhost` for `127.0.0.1`), which refuses a credential as S3
//! does: with 400.
//!
//! The window of the limit slides here, and the files count. Unconfirmed: the body of errors.

use std::time::{Duration, SystemTime};

use poem::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    description::Description,
    desk::{Desk, Page},
    person::{Person, number},
};
use crate::{Reply, limiter::Quota};

pub(super) const API: Description = Description {
    name: "greenhouse-v1",
    calls: 50,
    window: Duration::from_secs(10),
    unauthorized: (StatusCode::UNAUTHORIZED, "Invalid Basic Auth credentials"),
    bad_request: StatusCode::UNPROCESSABLE_ENTITY,
    expired: (StatusCode::UNPROCESSABLE_ENTITY, "this page has expired"),
    retry_after: true,
    external_id: number,
    error,
    with_quota,
    answer,
};

fn answer(desk: &mut Desk<'_>) -> Result<Reply, Reply> {
    if let Some(path) = desk.call.path.strip_prefix("/files/") {
        return file(desk, path);
    }
    desk.admit(desk.basic_user())?;
    desk.route(Method::GET, "/v1/candidates")?;
    let size = desk.number("per_page", 1..=500, 100)?;
    let number = desk.number("page", 1..=u32::MAX.into(), 1)?;
    let page = desk.list(desk.since("updated_after")?, (number - 1) * size, size)?;
    let signature = desk.sign();
    let files = desk.call.base_url.replace("127.0.0.1", "localhost");
    let show = |person: &Person| {
        let mut shown = candidate(person);
        shown["attachments"] = attachments(person, &format!("{files}/files"), &signature);
        shown
    };
    let reply = Reply::value(StatusCode::OK, &page.people.iter().map(show).collect::<Vec<_>>().into());
    Ok(match links(desk, &page, size) {
        links if links.is_empty() => reply,
        links => reply.with("link", links.join(",")),
    })
}

fn attachments(person: &Person, files: &str, signature: &str) -> Value {
    if !has_files(person.index) {
        return json!([]);
    }
    let file = |name: &str, kind: &str| {
        let url = format!("{files}/{}/{name}?signature={signature}", person.index);
        json!({"filename": name, "url": url, "type": kind, "created_at": person.created()})
    };
    json!([file("resume.pdf", "resume"), file("letter.txt", "cover_letter")])
}

fn has_files(index: u64) -> bool {
    index % 20 == 7
}

/// The file of a person, for a signature that is not void.
fn file(desk: &mut Desk<'_>, path: &str) -> Result<Reply, Reply> {
    if desk.header("authorization").is_some() {
        return Err(desk.error(StatusCode::BAD_REQUEST, "only one auth mechanism allowed"));
    }
    let (index, name) = path.split_once('/').unwrap_or_default();
    let index: u64 = index.parse().map_err(|_| desk.error(StatusCode::NOT_FOUND, "there is no such file"))?;
    if !desk.is_signed(desk.param("signature")) {
        return Err(desk.error(StatusCode::FORBIDDEN, "the request has expired"));
    }
    desk.draw_fault(crate::FILES_FROM.saturating_add(u32::try_from(index).unwrap_or(u32::MAX)))?;
    let (content_type, body) = match name {
        "resume.pdf" if has_files(index) => {
            ("application/pdf", format!("%PDF-1.4\n% resume {index}\n%%EOF\n"))
        }
        "letter.txt" if has_files(index) => ("text/plain", "Hello!\n".to_owned()),
        _ => return Err(desk.error(StatusCode::NOT_FOUND, "there is no such file")),
    };
    Ok(Reply { content_type, ..Reply::json(body.into_bytes()) })
}

/// `rel=next`, and `rel=last` unless `skip_count` says no.
fn links(desk: &Desk<'_>, page: &Page, size: u64) -> Vec<String> {
    let since =
        desk.param("updated_after").map(|since| format!("&updated_after={}", since.replace('+', "%2B")));
    let since = since.unwrap_or_default();
    let link = |number: u64, size: u64, rel: &str| {
        let base_url = &desk.call.base_url;
        format!(r#"<{base_url}/v1/candidates?page={number}&per_page={size}{since}>; rel="{rel}""#)
    };
    let mut links: Vec<_> =
        page.next_place().map(|(at, size)| link(at / size + 1, size, "next")).into_iter().collect();
    if desk.param("skip_count") != Some("true") {
        links.push(link(page.total.div_ceil(size).max(1), size, "last"));
    }
    links
}

pub(super) fn candidate(person: &Person) -> Value {
    let (school, degree, discipline) = person.education();
    json!({
        "id": person.index + 1,
        "first_name": person.first_name,
        "last_name": person.last_name,
        "title": person.headline,
        "created_at": person.created(),
        "updated_at": person.updated(),
        "email_addresses": [{"value": person.email(), "type": "personal"}],
        "phone_numbers": [{"value": person.phone(), "type": "mobile"}],
        "tags": person.skills,
        "employments": person.jobs(|job| json!({
            "title": job["title"], "company_name": job["company"],
            "start_date": job["start_date"], "end_date": job["end_date"],
        })),
        "educations": [{"school_name": school, "degree": degree, "discipline": discipline}],
        "attachments": [],
    })
}

pub(super) fn error(status: StatusCode, detail: &str) -> Reply {
    Reply::value(status, &json!({"message": detail}))
}

/// The reset is told on a refusal only, as seconds since 1970.
fn with_quota(reply: Reply, quota: &Quota) -> Reply {
    let refused = reply.status == StatusCode::TOO_MANY_REQUESTS;
    let reply = reply.with("x-ratelimit-limit", quota.limit).with("x-ratelimit-remaining", quota.remaining);
    if refused { reply.with("x-ratelimit-reset", epoch_seconds_in(quota.reset_after)) } else { reply }
}

/// The time so long from now, rounded up to whole seconds since 1970.
pub(super) fn epoch_seconds_in(wait: Duration) -> u64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (since_1970 + wait).as_secs() + 1
}
