//! Sources that are asked for people who are known.

use super::fault::FaultList;
use crate::source::definition::{Definition, Known, ListCall};

/// Nothing is listed, so nothing that is about a list belongs into it.
pub(super) fn check(definition: &Definition, known: &Known, faults: &mut FaultList) {
    if !known.is_valid() {
        let detail =
            "write an address with {id} as one part of its path, such as https://example.com/people/{id}";
        faults.add("/known/url", detail);
    }
    let about_lists =
        [("/parents", definition.parents.is_some()), ("/list", definition.list != ListCall::none())];
    for (at, _) in about_lists.into_iter().filter(|(_, is_there)| *is_there) {
        faults.add(
            at,
            "a source with `known` lists nobody and is asked for each person anew: leave this out, or `known`",
        );
    }
    if definition.detail.is_none() {
        faults.add("/detail", "missing: `known` needs it, the call that gives one person, by {id}");
    }
}
