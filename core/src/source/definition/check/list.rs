//! The calls that list something: the items, and the parents that have lists of their own.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use strum::IntoEnumIterator;

use super::fault::FaultList;
use crate::{
    parsing::json_pointer::escape,
    source::definition::{
        ListCall, Method, Paging, Placeholder, Step, Template,
        bounds::{
            MAX_CODE_BYTES, MAX_CODES, MAX_PARAM_BYTES, MAX_PARAMS, MAX_PATH_BYTES, MAX_PER_PAGE,
            MAX_POINTER_BYTES,
        },
    },
};

/// The longest template, in bytes.
const MAX_TEMPLATE_BYTES: usize = 1_000;

/// The deepest nesting of a body. Rendering it recurses.
const MAX_BODY_DEPTH: usize = 16;

/// The longest overlap of two runs.
const MAX_OVERLAP: Duration = Duration::from_secs(30 * 24 * 3600);

/// Looks at the list of items, of which there may be one for each parent.
pub(super) fn check(list: &ListCall, has_parents: bool, faults: &mut FaultList) {
    if list.is_none() {
        faults.add(
            "/list",
            "missing: write the call that lists the items, or `files` where there is no API, or `known`",
        );
        return;
    }
    let templates = check_call("/list", Step::List, has_parents, list, faults);
    if let Some(expect) = &list.expect {
        check_pointer("/list/expect/at", &expect.at, faults);
        if let Some(code) = &expect.code {
            check_pointer("/list/expect/code", code, faults);
        }
    }
    check_since(list, &templates, faults);
}

/// Looks at what any list has; gives its templates.
pub(super) fn check_call(
    at: &str,
    step: Step,
    has_parents: bool,
    list: &ListCall,
    faults: &mut FaultList,
) -> Vec<Template> {
    let mut templates = Vec::new();
    check_path(&format!("{at}/path"), &list.path, &mut templates, faults);
    check_params(&format!("{at}/params"), &list.params, &mut templates, faults);
    check_body(at, list, &mut templates, faults);
    check_placeholders(at, step, has_parents, &templates, faults);
    check_pointer(&format!("{at}/items"), &list.items, faults);
    check_pointer(&format!("{at}/id"), &list.id, faults);
    if let Some(updated_at) = &list.updated_at {
        check_pointer(&format!("{at}/updated_at"), updated_at, faults);
    }
    if !(1..=MAX_PER_PAGE).contains(&list.per_page_max) {
        let detail = format!("{}: write 1 to {MAX_PER_PAGE}", list.per_page_max);
        faults.add(format!("{at}/per_page_max"), detail);
    }
    check_paging(&format!("{at}/paging"), list, &templates, faults);
    templates
}

/// Looks for placeholders that the call has no value for.
pub(super) fn check_placeholders(
    at: &str,
    step: Step,
    has_parents: bool,
    templates: &[Template],
    faults: &mut FaultList,
) {
    use Placeholder::{Count, Id, Offset, Page, Parent, PerPage, Since, Until};
    for placeholder in Placeholder::iter().filter(|placeholder| has(templates, &[*placeholder])) {
        match (placeholder, step) {
            (Id, Step::Detail) => {}
            (Parent, Step::List | Step::Detail) if has_parents => {}
            (Id, _) => faults.add(at, "{id} stands for an item, which only `detail` asks for"),
            // A list of parents and a detail call are not about changes, and not about a number of items; a
            // detail call is one, and a feed of the deleted is one for all that is read to its end.
            (Parent, Step::Deleted)
            | (Count, Step::Parents | Step::Detail | Step::Deleted)
            | (Since | Until, Step::Parents | Step::Detail)
            | (Page | Offset | PerPage, Step::Detail) => {
                faults.add(at, format!("{{{placeholder}}} is of the list: leave it out here"));
            }
            (Parent, _) => faults.add(
                at,
                "{parent} needs `parents`, the call that lists the parents, and does not stand in it",
            ),
            _ => {}
        }
    }
}

/// Looks at a path, whose placeholders become part of it.
pub(super) fn check_path(at: &str, path: &str, templates: &mut Vec<Template>, faults: &mut FaultList) {
    let template = path.parse::<Template>().ok();
    faults.add_some(at, path_fault(path, template.as_ref()));
    templates.extend(template);
}

fn path_fault(path: &str, template: Option<&Template>) -> Option<String> {
    let is_of_a_path = |placeholder| matches!(placeholder, Placeholder::Parent | Placeholder::Id);
    if path.len() > MAX_PATH_BYTES {
        Some(format!("{} bytes, the most is {MAX_PATH_BYTES}", path.len()))
    } else if !path.starts_with('/') || path.starts_with("//") {
        Some("write a path that begins with one `/`; it follows the base URL".to_owned())
    } else if path.contains(['?', '#']) {
        Some("no `?` and `#` here: parameters belong into `list.params`".to_owned())
    } else if !template.is_some_and(|template| template.placeholders().all(is_of_a_path)) {
        Some("no placeholders here but {parent} and {id}: others belong into `params` or `body`".to_owned())
    } else if path.split('/').any(|segment| segment == "." || segment == "..") {
        Some("no `.` and `..` between slashes: write the path itself".to_owned())
    } else if path.contains(|c: char| !c.is_ascii_graphic() || c == '\\') {
        Some("write visible ASCII characters, others as %XX".to_owned())
    } else {
        None
    }
}

pub(super) fn check_params(
    at: &str,
    params: &BTreeMap<String, Template>,
    templates: &mut Vec<Template>,
    faults: &mut FaultList,
) {
    if !faults.check_length(at, params.len(), MAX_PARAMS, "parameters") {
        return;
    }
    for (name, template) in params {
        if faults.check_length(at, name.len(), MAX_PARAM_BYTES, "bytes in a name") {
            let at = format!("{at}/{}", escape(name));
            if name.is_empty() {
                faults.add(at.as_str(), "a parameter without a name");
            }
            faults.check_length(&at, template.to_string().len(), MAX_TEMPLATE_BYTES, "bytes");
        }
        templates.push(template.clone());
    }
}

fn check_body(at: &str, list: &ListCall, templates: &mut Vec<Template>, faults: &mut FaultList) {
    let Some(body) = &list.body else { return };
    let at = format!("{at}/body");
    if list.method == Method::Get {
        faults.add(at.as_str(), "goes with `method: post`: a get has none");
    }
    let takes_token = list.method == Method::Post && matches!(list.paging, Paging::Cursor { .. });
    if takes_token && !body.is_object() {
        faults.add(at.as_str(), "write an object, which takes the token of the next page as a member");
    }
    check_body_value(&at, body, MAX_BODY_DEPTH, templates, faults);
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
                    check_body_value(&format!("{at}/{}", escape(name)), value, depth - 1, templates, faults);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn check_paging(at: &str, list: &ListCall, templates: &[Template], faults: &mut FaultList) {
    if let Some(total) = list.paging.total() {
        let style = match &list.paging {
            Paging::Numbered { .. } => "numbered",
            Paging::NextUrl { .. } => "next_url",
            Paging::LinkHeader { .. } => "link_header",
            Paging::Cursor { .. } | Paging::Single {} => "cursor",
        };
        check_pointer(&format!("{at}/{style}/total"), total, faults);
    }
    match &list.paging {
        Paging::Numbered { .. } => {
            if !has(templates, &[Placeholder::Page, Placeholder::Offset]) {
                faults.add(
                    format!("{at}/numbered"),
                    "{page} or {offset} stands in no parameter: every call would ask for the same page",
                );
            }
        }
        Paging::NextUrl { at: next, .. } => check_pointer(&format!("{at}/next_url/at"), next, faults),
        Paging::Cursor { token, param, first, has_more, expired, .. } => {
            check_pointer(&format!("{at}/cursor/token"), token, faults);
            if let Some(has_more) = has_more {
                check_pointer(&format!("{at}/cursor/has_more"), has_more, faults);
            }
            if param.is_empty() || param.len() > MAX_PARAM_BYTES {
                let detail = format!("write the name of a parameter, 1 to {MAX_PARAM_BYTES} bytes");
                faults.add(format!("{at}/cursor/param"), detail);
            }
            let first = first.as_ref().map_or(0, String::len);
            faults.check_length(&format!("{at}/cursor/first"), first, MAX_TEMPLATE_BYTES, "bytes");
            check_codes(&format!("{at}/cursor/expired"), expired, faults);
        }
        Paging::LinkHeader { .. } | Paging::Single {} => {}
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

pub(super) fn has(templates: &[Template], placeholders: &[Placeholder]) -> bool {
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
