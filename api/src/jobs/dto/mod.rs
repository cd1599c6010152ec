//! What goes over the wire.

mod change;
mod job;
mod list;
mod state;
mod why;

use chrono::{DateTime, TimeZone, Utc};
use uuid::{Uuid, uuid};

pub(crate) use change::JobCount;
pub(super) use change::{JobsChangeReply, JobsChangeRequest};
pub(super) use job::Job;
pub(super) use list::{JobList, default_limit};
pub(super) use state::{StateList, names};
pub(super) use why::Obstacles;

const EXAMPLE_ID: i64 = 8_812;
const EXAMPLE_COLLECTION: Uuid = uuid!("019a9c5b-3c1e-7d2f-8a54-2f1c8b7e9d10");

/// The time in examples.
fn example_time() -> DateTime<Utc> {
    Utc.timestamp_nanos(1_795_446_000_000_000_000)
}
