use std::time::Duration;

use super::{MARGIN, spacing::Spacing};
use crate::source::definition::{Interval, Limit, SILENCE_MAX};

/// What an answer says of its source's limit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Announced {
    /// How long to make no call, where it says so.
    pub retry_after: Option<Duration>,
    /// The limits that it names.
    pub limits: Vec<AnnouncedLimit>,
    /// How long until there are calls again, where it says that none is left.
    pub exhausted_for: Option<Duration>,
}

/// A limit as a source names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnouncedLimit {
    /// The most calls.
    pub calls: u32,
    /// In this time, if the source says so.
    pub per: Option<Duration>,
}

/// Limits that are announced for longer times are not paced by: an even share of a day's calls would leave
/// most of them unused. When they are used up, the source says so.
const PER_MAX: Duration = Duration::from_secs(60);

/// Headers count time in whole seconds: that much of a wait may be rounding.
const GRAIN: Duration = Duration::from_secs(1);

impl Announced {
    /// The same, with no wait that is longer than the source gets.
    pub fn at_most(self, silence_max: Duration) -> Self {
        let most = |wait: Option<Duration>| wait.map(|wait| wait.min(silence_max));
        Self { retry_after: most(self.retry_after), exhausted_for: most(self.exhausted_for), ..self }
    }

    /// The limit to keep beside the configured ones: the lowest announced one that they do not imply.
    pub(super) fn limit(&self, configured: &[Limit]) -> Option<Limit> {
        let named = self.limits.iter().filter_map(|announced| announced.complete(configured));
        let lower = named.filter(|announced| !configured.iter().any(|limit| implies(limit, announced)));
        lower.max_by(|a, b| Spacing::of(a).interval_s.total_cmp(&Spacing::of(b).interval_s))
    }

    /// How long to make no call because none is left. Who keeps a limit evenly uses the last call just when
    /// the next one is about to be free; only a longer wait says that somebody else has used the source's
    /// calls.
    pub(super) fn drought(&self, configured: &[Limit]) -> Option<Duration> {
        let even_s = configured.iter().map(|limit| Spacing::of(limit).interval_s).fold(0.0, f64::max);
        let even = Duration::try_from_secs_f64(even_s).unwrap_or(SILENCE_MAX);
        self.exhausted_for.filter(|wait| *wait > even + GRAIN + MARGIN)
    }
}

impl AnnouncedLimit {
    /// With a time: the announced one, or that of the configured limit if there is one alone. Of several
    /// nobody knows which is meant: sixty beside ten a second and five thousand an hour are mostly sixty a
    /// minute.
    fn complete(self, configured: &[Limit]) -> Option<Limit> {
        let per = match self.per {
            Some(per) if per > PER_MAX || per.is_zero() => return None,
            Some(per) => per,
            None => match configured {
                [limit] => limit.per.0,
                _ => return None,
            },
        };
        // A limit of nothing would never be asked about again. Its refusals say how long to wait.
        (self.calls > 0).then_some(Limit { calls: self.calls, per: Interval(per), burst: 1 })
    }
}

/// Whether who keeps `limit` keeps `other`, too.
fn implies(limit: &Limit, other: &Limit) -> bool {
    limit.calls <= other.calls && limit.per.0 >= other.per.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(calls: u32, seconds: u64) -> Limit {
        Limit { calls, per: Interval(SECOND * u32::try_from(seconds).unwrap()), burst: 1 }
    }

    fn announced(calls: u32, seconds: Option<u64>) -> AnnouncedLimit {
        AnnouncedLimit { calls, per: seconds.map(Duration::from_secs) }
    }

    fn learned(configured: &[Limit], announced: &[AnnouncedLimit]) -> Option<Limit> {
        Announced { limits: announced.to_vec(), ..Announced::default() }.limit(configured)
    }

    #[test]
    fn only_a_lower_limit_is_learned() {
        assert_eq!(learned(&[limit(30, 1)], &[announced(10, Some(1))]), Some(limit(10, 1)));
        for not_lower in
            [announced(30, Some(1)), announced(31, Some(1)), announced(300, Some(1)), announced(0, Some(1))]
        {
            assert_eq!(learned(&[limit(30, 1)], &[not_lower]), None, "{not_lower:?}");
        }
        assert_eq!(learned(&[limit(10, 1)], &[announced(50, Some(10))]), Some(limit(50, 10)), "5 a second");
        assert_eq!(learned(&[], &[announced(5, None)]), None);
    }

    #[test]
    fn a_number_alone_is_by_the_time_of_the_only_limit() {
        assert_eq!(learned(&[limit(50, 10)], &[announced(20, None)]), Some(limit(20, 10)));
        assert_eq!(learned(&[limit(50, 10)], &[announced(60, None)]), None);
        let github = [limit(10, 1), limit(5000, 3600)];
        for calls in [5, 60, 5000, 15_000] {
            assert_eq!(learned(&github, &[announced(calls, None)]), None, "{calls} in which time?");
        }
    }

    #[test]
    fn of_several_the_lowest_counts_and_days_do_not() {
        let several = [announced(20, Some(1)), announced(100, Some(60)), announced(5000, Some(86_400))];
        assert_eq!(learned(&[limit(30, 1)], &several), Some(limit(100, 60)));
    }

    #[test]
    fn the_last_call_of_an_even_pace_is_no_drought() {
        let drought = |seconds, limits: &[Limit]| {
            Announced { exhausted_for: Some(SECOND * seconds), ..Announced::default() }.drought(limits)
        };
        assert_eq!(drought(1, &[limit(30, 1)]), None);
        assert_eq!(drought(2, &[limit(30, 1)]), Some(2 * SECOND));
        assert_eq!(drought(60, &[limit(60, 3600)]), None);
        assert_eq!(drought(1800, &[limit(60, 3600)]), Some(1800 * SECOND));
        assert_eq!(Announced::default().drought(&[limit(30, 1)]), None);
    }
}
