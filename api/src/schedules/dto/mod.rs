//! What goes over the wire.

mod request;
mod schedule;

use poem_openapi::Enum;
use resume_queue::schedules;

pub(super) use request::ScheduleRequest;
pub(super) use schedule::{Schedule, ScheduleList, ScheduleRun};

/// What becomes of the ticks that nobody fired in time: while no worker lived, or while the schedule was
/// disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "MissedTicks", rename_all = "snake_case")]
enum Missed {
    /// They are forgotten.
    Skip,
    /// One job makes up for all of them.
    Once,
    /// A job for each, of the latest 1,000.
    All,
}

impl From<schedules::Missed> for Missed {
    fn from(missed: schedules::Missed) -> Self {
        match missed {
            schedules::Missed::Skip => Self::Skip,
            schedules::Missed::Once => Self::Once,
            schedules::Missed::All => Self::All,
        }
    }
}

impl From<Missed> for schedules::Missed {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => Self::Skip,
            Missed::Once => Self::Once,
            Missed::All => Self::All,
        }
    }
}
