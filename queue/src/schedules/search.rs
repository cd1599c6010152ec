//! Finds the tick before or after a moment, in bounded work.

use std::{cell::Cell, cmp::Ordering};

use chrono::{DateTime, Datelike, SubsecRound, Utc};
use chrono_tz::Tz;
use croner::{CivilDateTime, Cron, CronDateTime, Direction, Resolution, Weekday, errors::CronError};

/// How far a tick may be away. The rarest day is the 29th of February on a given weekday: it comes every 28
/// years, and over a century without a leap year after 40 (or 12).
pub(super) const YEARS_MAX: i32 = 40;

/// The most moments that one search looks at. Where the clock is put forward it looks at each second that is
/// left out, up to two hours of them, and may have to go on to the next year: the worst known takes 18,000
/// looks: 5 ms of a debug build.
pub(super) const LOOKS_MAX: u32 = 50_000;

/// The first tick of an expression after (or before) a moment, and how many moments were looked at for it.
/// `None` when there is none within [`YEARS_MAX`], as where a tick would always come in the hour that is left
/// out.
pub(super) fn find(
    cron: &Cron,
    zone: Tz,
    from: DateTime<Utc>,
    direction: Direction,
) -> Option<DateTime<Utc>> {
    find_and_count(cron, zone, from, direction).0
}

pub(super) fn find_and_count(
    cron: &Cron,
    zone: Tz,
    from: DateTime<Utc>,
    direction: Direction,
) -> (Option<DateTime<Utc>>, u32) {
    let at = from.trunc_subsecs(0).with_timezone(&zone);
    let search = Search { year: at.year(), looks: Cell::new(0) };
    let from = Moment { at, search: &search };
    let found = match direction {
        Direction::Forward => cron.find_next_occurrence(&from, false),
        Direction::Backward => cron.find_previous_occurrence(&from, false),
    };
    // The only error is that there is none within reach.
    (found.ok().map(|tick| tick.at.to_utc()), search.looks.get())
}

/// One search, and how far it is.
struct Search {
    year: i32,
    looks: Cell<u32>,
}

impl Search {
    /// # Errors
    /// When the search has gone on for long enough.
    fn look(&self, year: i32) -> Result<(), CronError> {
        self.looks.set(self.looks.get() + 1);
        let is_within = (year - self.year).abs() <= YEARS_MAX && self.looks.get() <= LOOKS_MAX;
        if is_within { Ok(()) } else { Err(CronError::TimeSearchLimitExceeded) }
    }
}

/// A moment as croner sees it, which ends a search that goes too far: croner by itself goes on for thousands
/// of years.
#[derive(Clone)]
struct Moment<'a> {
    at: DateTime<Tz>,
    search: &'a Search,
}

impl CronDateTime for Moment<'_> {
    fn to_civil(&self) -> CivilDateTime {
        self.at.to_civil()
    }

    fn civil_weekday(&self) -> Weekday {
        self.at.civil_weekday()
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        self.search.look(civil.year())?;
        let of = |at| Self { at, search: self.search };
        Ok(match self.at.resolve_civil(civil)? {
            Resolution::Single(at) => Resolution::Single(of(at)),
            Resolution::Ambiguous(earlier, later) => Resolution::Ambiguous(of(earlier), of(later)),
            Resolution::Gap => Resolution::Gap,
        })
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        Some(Self { at: CronDateTime::checked_add_seconds(&self.at, seconds)?, search: self.search })
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.at.cmp_instant(&other.at)
    }
}
