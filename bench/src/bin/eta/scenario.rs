use std::time::Duration;

use resume_core::collection::BACKLOG_MAX;

use crate::Name;

/// A collection that takes some twenty seconds, and what limits it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) count: u32,
    pub(crate) per_page: u32,
    pub(crate) batch_size: u32,
    pub(crate) parse_delay: Duration,
    pub(crate) backlog_max: u32,
    /// Whether each page tells the next one.
    pub(crate) is_chain: bool,
}

const RATE: Scenario = Scenario {
    count: 60_000,
    per_page: 100,
    batch_size: 100,
    parse_delay: Duration::ZERO,
    backlog_max: BACKLOG_MAX,
    is_chain: false,
};

const PARSING: Scenario =
    Scenario { count: 6_400, batch_size: 10, parse_delay: Duration::from_secs(2), ..RATE };

pub(crate) fn of(name: Name) -> Scenario {
    match name {
        Name::Rate => RATE,
        Name::Parsing => PARSING,
        Name::Lagging => Scenario { backlog_max: 1_000, ..PARSING },
        Name::Chain => Scenario { count: 16_000, is_chain: true, ..RATE },
    }
}
