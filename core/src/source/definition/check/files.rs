//! Sources of files.

use super::{fault::FaultList, list::check_pointer};
use crate::source::definition::{Definition, Files, ListCall};

/// A source of files makes no calls, so nothing that is about calls belongs into it.
pub(super) fn check(definition: &Definition, files: &Files, faults: &mut FaultList) {
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
        ("/list", definition.list != ListCall::none()),
    ];
    for (at, _) in about_calls.into_iter().filter(|(_, is_there)| *is_there) {
        faults.add(at, "a source with `files` makes no calls: leave this out, or `files`");
    }
    check_pointer("/files/id", &files.id, faults);
}
