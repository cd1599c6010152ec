//! How many calls a system allows.

use std::time::Duration;

use super::fault::FaultList;
use crate::source::definition::{
    Defaults, Definition, Limit, Refusal, SILENCE_MAX,
    bounds::{MAX_CALLS, MAX_CONCURRENCY, MAX_LIMITS, MAX_REFUSALS, MAX_TEXT_BYTES},
};

/// The most calls in any second.
const MAX_CALLS_PER_SECOND: u128 = 10_000;

/// The shortest and the longest time of a limit.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The shortest longest silence: as long as that after a refusal that asks for none.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

pub(super) fn check(definition: &Definition, faults: &mut FaultList) {
    let limits = &definition.limits;
    if limits.is_empty() {
        faults.add("/limits", "empty: write one at least, such as {calls: 10, per: 1s}");
    }
    if faults.check_length("/limits", limits.len(), MAX_LIMITS, "limits") {
        for (index, limit) in limits.iter().enumerate() {
            check_limit(&format!("/limits/{index}"), *limit, faults);
        }
    }
    if faults.check_length("/refusals", definition.refusals.len(), MAX_REFUSALS, "refusals") {
        for (index, refusal) in definition.refusals.iter().enumerate() {
            check_refusal(&format!("/refusals/{index}"), refusal, faults);
        }
    }
    if definition.silence_max.is_some_and(|most| !(SHORTEST_SILENCE..=SILENCE_MAX).contains(&most.0)) {
        faults.add("/silence_max", "write 1s to 24h, or leave it out");
    }
    if let Some(concurrency) = definition.concurrency
        && !(1..=MAX_CONCURRENCY).contains(&concurrency)
    {
        faults.add("/concurrency", format!("{concurrency}: write 1 to {MAX_CONCURRENCY}, or leave it out"));
    }
}

/// Whatever a collection asks for by default, it is one item at least.
pub(super) fn check_defaults(definition: &Definition, faults: &mut FaultList) {
    let Some(Defaults { count, per_page }) = definition.defaults else { return };
    if count == Some(0) {
        faults.add("/defaults/count", "0: write 1 or more, or leave it out for everything");
    }
    if per_page == Some(0) {
        faults.add("/defaults/per_page", "0: write 1 or more, or leave it out");
    }
}

fn check_refusal(at: &str, Refusal { status, text }: &Refusal, faults: &mut FaultList) {
    if *status != 200 && !(400..=999).contains(status) {
        faults.add(format!("{at}/status"), format!("{status}: write 400 to 999, or 200 with a text"));
    }
    let Some(text) = text else {
        if *status == 200 {
            faults.add(format!("{at}/text"), "missing: a 200 is a refusal only with a text in its body");
        }
        return;
    };
    if text.trim().is_empty() {
        faults.add(format!("{at}/text"), "empty: write what stands in the body, or leave it out");
    }
    faults.check_length(&format!("{at}/text"), text.len(), MAX_TEXT_BYTES, "bytes");
}

fn check_limit(at: &str, limit: Limit, faults: &mut FaultList) {
    let Limit { calls, per, burst } = limit;
    let (calls_are_right, per_is_right) =
        ((1..=MAX_CALLS).contains(&calls), (SHORTEST..=LONGEST).contains(&per.0));
    if !calls_are_right {
        faults.add(format!("{at}/calls"), format!("{calls}: write 1 to {MAX_CALLS}"));
    }
    if !per_is_right {
        faults.add(format!("{at}/per"), "write 1ms to 24h");
    }
    let is_too_fast = u128::from(calls) * 1_000_000 > MAX_CALLS_PER_SECOND * per.0.as_micros();
    if calls_are_right && per_is_right && is_too_fast {
        let detail =
            format!("more than {MAX_CALLS_PER_SECOND} calls a second: write fewer calls or more time");
        faults.add(at, detail);
    }
    if calls_are_right && !(1..=calls).contains(&burst) {
        faults.add(format!("{at}/burst"), format!("{burst}: write 1 to {calls}, the calls of the limit"));
    }
}
