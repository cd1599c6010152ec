//! The time that rows are stamped with. Program, workers and Postgres are on one machine, and so have one
//! clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970.
pub(crate) type Micros = i64;

pub(crate) fn now() -> Micros {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or_default()
}

pub(crate) fn seconds(from: Micros, to: Micros) -> f64 {
    (to - from) as f64 / 1e6
}
