use chrono::{DateTime, Datelike, TimeDelta, Utc};

use resume_core::call_limit::Period;

use crate::problem::Problem;

/// The longest period: as long as calls are kept.
const DAYS_MAX: i64 = 31;

/// The period that two optional parameters stand for: by default the last hour, up to `now`, the database's
/// time.
///
/// # Errors
/// A problem that names the parameter when the period is empty or too long.
pub(super) fn period(
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<Period, Problem> {
    let to = to.unwrap_or(now);
    let from = from.or_else(|| to.checked_sub_signed(TimeDelta::hours(1))).unwrap_or(to);
    // Beyond that Postgres has no words for a time.
    let has_year = |time: DateTime<Utc>| (1..=9999).contains(&time.year());
    for (name, time) in [("from", from), ("to", to)] {
        if !has_year(time) {
            return Err(Problem::invalid_field(name, "must be in the years 1 to 9999"));
        }
    }
    if from >= to {
        return Err(Problem::invalid_field("from", "must be before `to`, which is now by default"));
    }
    if to - from > TimeDelta::days(DAYS_MAX) {
        return Err(Problem::invalid_field("from", format!("must be at most {DAYS_MAX} days before `to`")));
    }
    Ok(Period { from, to })
}
