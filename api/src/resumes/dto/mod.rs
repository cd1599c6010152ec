//! What goes over the wire.

mod list;
mod person;
mod resume;
mod search;

pub(super) use list::{ResumeList, Sight};
pub(super) use resume::ResumeReply;
pub(super) use search::{MatchMode, SearchReply, default_limit, example_skills};

use chrono::{DateTime, TimeZone, Utc};

/// The time in examples.
fn example_time() -> DateTime<Utc> {
    Utc.timestamp_nanos(1_795_446_000_000_000_000)
}
