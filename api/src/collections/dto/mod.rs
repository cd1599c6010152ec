//! What goes over the wire.

mod continue_request;
mod list;
mod status;
mod trigger;

use chrono::{DateTime, TimeZone, Utc};
use uuid::{Uuid, uuid};

pub(super) use continue_request::{ContinueRequest, ContinuedCollection};
pub(super) use list::{CollectionList, default_limit};
pub(super) use status::{CollectionStatus, State};
pub(super) use trigger::TriggerReply;
pub(crate) use trigger::TriggerRequest;

const EXAMPLE_ID: Uuid = uuid!("019a9c5b-3c1e-7d2f-8a54-2f1c8b7e9d10");

/// The time in examples.
fn example_time() -> DateTime<Utc> {
    Utc.timestamp_nanos(1_795_446_000_000_000_000)
}

fn status_url(id: Uuid) -> String {
    format!("/api/v1/data-collection/status/{id}")
}
