//! The call that lists the items.

use std::time::Duration;

use serde_json::Value;

use super::{FaultList, step};
use crate::{
    collection::MAX_PER_PAGE,
    source::definition::{ListCall, Method, Paging, Placeholder, Template},
};

/// The longest path, parameter name, template, pointer and error code, in bytes.
const MAX_PATH_BYTES: usize = 1_000;
const MAX_PARAM_BYTES: usize = 200;
const MAX_TEMPLATE_BYTES: usize = 1_000;
const MAX_POINTER_BYTES: usize = 500;
const MAX_CODE_BYTES: usize = 200;

/// The most parameters, and the most error codes.
const MAX_PARAMS: usize = 64;
const MAX_CODES: usize = 32;

/// The deepest nesting of a body. Rendering it recurses.
const MAX_BODY_DEPTH: usize = 16;

/// The longest overlap of two runs.
const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) fn check(list: &ListCall, faults: &mut FaultList) {
    if list.is_none() {
        faults.add("/list", "missing: write the call that lists the items, or `files` where there is no API");
        return;
    }
    faults.add_some("/list/path", path_fault(&list.path));
    let mut templates = Vec::new();
    check_params(list, &mut templates, faults);
    check_body(list, &mut templates, faults);
    check_pointer("/list/items", &list.items, faults);
    check_pointer("/list/id", &list.id, faults);
    if !(1..=MAX_PER_PAGE).contains(&list.per_page_max) {
        let detail = format!("{}: write 1 to {MAX_PER_PAGE}", list.per_page_max);
        faults.add("/list/per_page_max", detail);
    }
    check_paging(list, &templates, faults);
    if let Some(expect) = &list.expect {
        check_pointer("/list/expect/at", &expect.at, faults);
        if let Some(code) = &expect.code {
            check_pointer("/list/expect/code", code, faults);
        }
    }
    check_since(list, &templates, faults);
}

fn path_fault(path: &str) -> Option<String> {
    if path.len() > MAX_PATH_BYTES {
        Some(format!("{} bytes, the most is {MAX_PATH_BYTES}", path.len()))
    } else if !path.starts_with('/') || path.starts_with("//") {
        Some("write a path that begins with one `/`; it follows the base URL".to_owned())
    } else if path.contains(['?', '#']) {
        Some("no `?` and `#` here: parameters belong into `list.params`".to_owned())
    } else if path.contains(['{', '}']) {
        Some("no placeholders here: they belong into `list.params` or `list.body`".to_owned())
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        Some("no `.` and `..` between slashes: write the path itself".to_owned())
    } else if path.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
        Some("write visible ASCII characters, others as %XX".to_owned())
    } else {
        None
    }
}

fn check_params(list: &ListCall, templates: &mut Vec<Template>, faults: &mut FaultList) {
    if !faults.check_length("/list/params", list.params.len(), MAX_PARAMS, "parameters") {
        return;
    }
    for (name, template) in &list.params {
        if faults.check_length("/list/params", name.len(), MAX_PARAM_BYTES, "bytes in a name") {
            let at = format!("/list/params/{}", step(name));
            if name.is_empty() {
                faults.add(at.as_str(), "a parameter without a name");
            }
            faults.check_length(&at, template.to_string().len(), MAX_TEMPLATE_BYTES, "bytes");
        }
        templates.push(template.clone());
    }
}

fn check_body(list: &ListCall, templates: &mut Vec<Template>, faults: &mut FaultList) {
    let Some(body) = &list.body else { return };
    if list.method == Method::Get {
        faults.add("/list/body", "goes with `method: post`: a get has none");
    }
    let takes_token = list.method == Method::Post && matches!(list.paging, Paging::Cursor { .. });
    if takes_token && !body.is_object() {
        faults.add("/list/body", "write an object, which takes the token of the next page as a member");
    }
    check_body_value("/list/body", body, MAX_BODY_DEPTH, templates, faults);
}

fn check_body_value(
    at: &str,
    value: &Value,
    depth: usize,
    templates: &mut Vec<Template>,
    faults: &mut FaultList,
) {
    match value {
        Value::Array(_) | Value::Object(_) if depth == 0 => {
            faults.add(at, format!("nested deeper than {MAX_BODY_DEPTH}"));
        }
        Value::String(text) => match text.parse() {
            Ok(template) => templates.push(template),
            Err(detail) => faults.add(at, detail),
        },
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                check_body_value(&format!("{at}/{index}"), value, depth - 1, templates, faults);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                if faults.check_length(at, name.len(), MAX_PARAM_BYTES, "bytes in a name") {
                    check_body_value(&format!("{at}/{}", step(name)), value, depth - 1, templates, faults);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_paging(list: &ListCall, templates: &[Template], faults: &mut FaultList) {
    match &list.paging {
        Paging::Numbered { total, .. } => {
            if let Some(total) = total {
                check_pointer("/list/paging/numbered/total", total, faults);
            }
            if !has(templates, &[Placeholder::Page, Placeholder::Offset]) {
                faults.add(
                    "/list/paging/numbered",
                    "{page} or {offset} stands in no parameter: every call would ask for the same page",
                );
            }
        }
        Paging::NextUrl { at } => check_pointer("/list/paging/next_url/at", at, faults),
        Paging::Cursor { token, param, has_more, expired, .. } => {
            check_pointer("/list/paging/cursor/token", token, faults);
            if let Some(has_more) = has_more {
                check_pointer("/list/paging/cursor/has_more", has_more, faults);
            }
            faults.add_some("/list/paging/cursor/param", param_fault(list, param));
            check_codes("/list/paging/cursor/expired", expired, faults);
        }
        Paging::LinkHeader {} | Paging::Single {} => {}
    }
}

/// What is wrong with the place for the token of the next page.
fn param_fault(list: &ListCall, param: &str) -> Option<String> {
    let body = list.body.as_ref().and_then(|body| body.get(param));
    if param.is_empty() || param.len() > MAX_PARAM_BYTES {
        Some(format!("write the name of a parameter, 1 to {MAX_PARAM_BYTES} bytes"))
    } else if (list.method == Method::Get && list.params.contains_key(param))
        || (list.method == Method::Post && body.is_some())
    {
        Some("stands in the call already: leave it out there, the first page has no token".to_owned())
    } else {
        None
    }
}

fn check_codes(at: &str, codes: &[String], faults: &mut FaultList) {
    if faults.check_length(at, codes.len(), MAX_CODES, "codes") {
        for (index, code) in codes.iter().enumerate() {
            if code.trim().is_empty() || code.len() > MAX_CODE_BYTES {
                faults.add(format!("{at}/{index}"), format!("write a code of 1 to {MAX_CODE_BYTES} bytes"));
            }
        }
    }
}

fn check_since(list: &ListCall, templates: &[Template], faults: &mut FaultList) {
    let asks = has(templates, &[Placeholder::Since, Placeholder::Until]);
    match &list.since {
        None if asks => faults
            .add("/list/since", "missing: {since} and {until} need it, to say how the system writes times"),
        None => {}
        Some(_) if !has(templates, &[Placeholder::Since]) => faults.add(
            "/list/since",
            "{since} stands in no parameter: write it where the system takes the time, or leave `since` out",
        ),
        Some(since) if since.overlap.0 > MAX_OVERLAP => {
            faults.add("/list/since/overlap", "write 0s to 30days");
        }
        Some(_) => {}
    }
}

fn has(templates: &[Template], placeholders: &[Placeholder]) -> bool {
    templates.iter().any(|template| placeholders.iter().any(|placeholder| template.has(*placeholder)))
}

/// Looks at a JSON Pointer: RFC 6901, section 3.
pub(super) fn check_pointer(at: &str, pointer: &str, faults: &mut FaultList) {
    faults.check_length(at, pointer.len(), MAX_POINTER_BYTES, "bytes");
    if !pointer.is_empty() && !pointer.starts_with('/') {
        faults.add(at, "write a JSON Pointer, such as /data/items, or \"\" for the whole answer");
    } else if !pointer.split('~').skip(1).all(|part| part.starts_with(['0', '1'])) {
        faults.add(at, "in a JSON Pointer `~` is written ~0, and `/` in a name ~1");
    }
}
