use super::MARGIN;
use crate::source::definition::Limit;

/// The even distance of the calls by one limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spacing {
    /// Seconds from one call to the next, in whole microseconds: those of Postgres.
    pub(super) interval_s: f64,
    /// How many seconds before its theoretical arrival time a call may leave.
    pub(super) tolerance_s: f64,
}

impl Spacing {
    /// The spacing with which no stretch of `per` and [`MARGIN`], wherever it begins, sees more than `calls`.
    ///
    /// Under the generic cell rate algorithm with interval I and tolerance (burst - 1) I, n calls span at
    /// least (n - 1) I - (burst - 1) I = (n - burst) I. The first call too many is number calls + 1, so I =
    /// (per + margin) / (calls + 1 - burst): the more may come at once, the slower is the even rate.
    pub(super) fn of(limit: &Limit) -> Self {
        let calls = limit.calls.max(1);
        let burst = limit.burst.clamp(1, calls);
        let stretch_us = (limit.per.0 + MARGIN).as_micros();
        let interval_us = stretch_us.div_ceil(u128::from(calls + 1 - burst)) as f64;
        Self { interval_s: interval_us / 1e6, tolerance_s: interval_us * f64::from(burst - 1) / 1e6 }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::source::definition::Interval;

    fn spacing(calls: u32, seconds: u64, burst: u32) -> Spacing {
        Spacing::of(&Limit { calls, per: Interval(Duration::from_secs(seconds)), burst })
    }

    #[test]
    fn calls_are_even_without_a_burst() {
        assert_eq!(spacing(30, 1, 1), Spacing { interval_s: 0.034, tolerance_s: 0.0 });
        assert_eq!(spacing(1, 1, 1), Spacing { interval_s: 1.02, tolerance_s: 0.0 });
        assert_eq!(spacing(10_000, 1, 1), Spacing { interval_s: 0.000_102, tolerance_s: 0.0 });
    }

    #[test]
    fn a_burst_is_taken_from_the_even_rate() {
        assert_eq!(spacing(10, 1, 5), Spacing { interval_s: 0.17, tolerance_s: 0.68 });
        assert_eq!(spacing(10, 1, 10), Spacing { interval_s: 1.02, tolerance_s: 9.18 });
    }

    #[test]
    fn nonsense_is_read_as_the_nearest_sense() {
        assert_eq!(spacing(0, 1, 0), spacing(1, 1, 1));
        assert_eq!(spacing(3, 1, 9), spacing(3, 1, 3));
    }
}
