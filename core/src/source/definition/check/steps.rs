//! The calls that bring the items, parents, list and detail, the one that tells who was deleted, and what
//! they say of each other.

use super::{fault::FaultList, list};
use crate::{
    parsing::{Format, Query},
    source::definition::{
        Attachments, Definition, Deleted, DetailCall, Files, Known, Placeholder, Step, bounds::MAX_HOSTS,
    },
};

pub(super) fn check(definition: &Definition, faults: &mut FaultList) {
    let has_parents = definition.parents.is_some();
    if let Some(call) = definition.call_of(Step::Parents) {
        list::check_call("/parents", Step::Parents, has_parents, &call, faults);
    }
    match &definition.known {
        Some(known) => check_known(definition, known, faults),
        None => list::check(&definition.list, has_parents, faults),
    }
    let has_lists = has_parents && definition.known.is_none();
    if has_lists && !definition.list.is_fanned_out() {
        faults.add("/list", "{parent} stands nowhere in it: every parent would have the same list");
    }
    if has_parents && definition.list.takes_count() {
        faults.add("/list/params", "{count} does not go with `parents`: no list is asked for all items");
    }
    if definition.list.id_within_parent {
        faults.add_some("/list/id_within_parent", id_within_parent_fault(definition));
    }
    if let Some(deleted) = &definition.list.deleted {
        check_deleted(definition, deleted, faults);
    }
    if let Some(detail) = &definition.detail {
        check_detail(detail, definition.format, has_parents, faults);
    }
    if let Some(attachments) = &definition.attachments {
        check_attachments(attachments, faults);
        if definition.detail.as_ref().is_some_and(|detail| detail.array) {
            faults.add(
                "/attachments",
                "of an item that is a list (`array` in `detail`) none are found: leave this out",
            );
        }
    }
}

/// A source of files makes no calls, so nothing that is about calls belongs into it.
pub(super) fn check_files(definition: &Definition, files: &Files, faults: &mut FaultList) {
    let about_calls = [
        ("/base_url", !definition.base_url.is_empty()),
        ("/fallback_urls", !definition.fallback_urls.is_empty()),
        ("/allow_private_network", definition.allow_private_network),
        ("/auth", !definition.auth.is_empty()),
        ("/headers", !definition.headers.is_empty()),
        ("/limits", !definition.limits.is_empty()),
        ("/refusals", !definition.refusals.is_empty()),
        ("/silence_max", definition.silence_max.is_some()),
        ("/concurrency", definition.concurrency.is_some()),
        ("/known", definition.known.is_some()),
        ("/list", !definition.list.is_none()),
    ];
    faults.refuse(&about_calls, "a source with `files` makes no calls: leave this out, or `files`");
    list::check_pointer("/files/id", &files.id, faults);
}

/// A source that is asked for people who are known lists nobody, so nothing that is about a list belongs into
/// it.
fn check_known(definition: &Definition, known: &Known, faults: &mut FaultList) {
    if !known.is_valid() {
        let detail =
            "write an address with {id} as one part of its path, such as https://example.com/people/{id}";
        faults.add("/known/url", detail);
    }
    let about_lists = [("/parents", definition.parents.is_some()), ("/list", !definition.list.is_none())];
    let why =
        "a source with `known` lists nobody and is asked for each person anew: leave this out, or `known`";
    faults.refuse(&about_lists, why);
    if definition.detail.is_none() {
        faults.add("/detail", "missing: `known` needs it, the call that gives one person, by {id}");
    }
}

/// What is wrong with ids that are unique only within a parent.
fn id_within_parent_fault(definition: &Definition) -> Option<&'static str> {
    if definition.parents.is_none() {
        Some("goes with `parents`: without them an id is the item's alone")
    } else if definition.format != Format::Mapped {
        Some("goes with format `mapped`: other items are known by the id that stands in them")
    } else if definition.list.has_deleted_feed() {
        Some(
            "does not go with `deleted.feed`, which tells ids without their parents: use `missing` or `flag`",
        )
    } else {
        None
    }
}

fn check_deleted(definition: &Definition, deleted: &Deleted, faults: &mut FaultList) {
    if *deleted == Deleted::default() {
        faults.add(
            "/list/deleted",
            "write `missing`, `feed` or `flag`: how it is known that somebody was deleted",
        );
    }
    if let Some(flag) = &deleted.flag {
        list::check_pointer("/list/deleted/flag", flag, faults);
        if flag.is_empty() {
            let detail =
                "\"\" is the item itself: write where in it stands that it was deleted, such as /deleted_at";
            faults.add("/list/deleted/flag", detail);
        }
    }
    let Some(call) = definition.call_of(Step::Deleted) else { return };
    let at = "/list/deleted/feed";
    let templates = list::check_call(at, Step::Deleted, false, &call, faults);
    if list::has(&templates, &[Placeholder::Since, Placeholder::Until]) && definition.list.since.is_none() {
        faults.add(at, "{since} and {until} need `list.since`, to say how the system writes times");
    }
}

fn check_attachments(attachments: &Attachments, faults: &mut FaultList) {
    faults.add_some("/attachments/at", Query::new(&attachments.at).err());
    if faults.check_length("/attachments/hosts", attachments.hosts.len(), MAX_HOSTS, "hosts") {
        for (index, host) in attachments.hosts.iter().enumerate() {
            if !is_host(host) {
                let detail = "write a name of a host in lower case, such as files.example.com, or *.example.com for all \
                              below it, with names in its last two labels; no scheme, port or path";
                faults.add(format!("/attachments/hosts/{index}"), detail);
            }
        }
    }
}

/// Whether a text is a host, or a pattern of hosts whose last two labels are names: `*.com` would be half the
/// world.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*".contains(&b);
        let stars = label.matches('*').count();
        (1..=63).contains(&label.len())
            && label.bytes().all(is_plain)
            && !label.starts_with('-')
            && stars <= 1
    };
    let mut end = text.rsplit('.').take(2).map(|label| !label.contains('*'));
    let is_narrow = end.next() == Some(true) && end.next().unwrap_or(!text.contains('*'));
    text.len() <= 253 && text.split('.').all(is_label) && is_narrow
}

fn check_detail(detail: &DetailCall, format: Format, has_parents: bool, faults: &mut FaultList) {
    let mut templates = Vec::new();
    list::check_path("/detail/path", &detail.path, &mut templates, faults);
    list::check_params("/detail/params", &detail.params, &mut templates, faults);
    list::check_placeholders("/detail", Step::Detail, has_parents, &templates, faults);
    list::check_pointer("/detail/item", &detail.item, faults);
    if !list::has(&templates, &[Placeholder::Id]) {
        faults.add("/detail", "{id} stands nowhere in it: every call would ask for the same item");
    }
    if format != Format::Mapped {
        let detail =
            "goes with format `mapped`: an item has the id that the list gives it, wherever it stands";
        faults.add("/detail", detail);
    }
}
