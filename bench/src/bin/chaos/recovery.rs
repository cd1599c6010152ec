//! How fast the fleet was before a fault, and when it was as fast again.

use std::time::Duration;

use crate::clock::{Micros, seconds};

/// For how many seconds before the fault the rate is taken.
const STEADY_S: i64 = 5;
pub(crate) const STEADY: Duration = Duration::from_secs(STEADY_S as u64);

/// Effects are counted by buckets of a quarter of a second; a second of them must be as good as before.
const SECOND: Micros = 1_000_000;
const BUCKET: Micros = SECOND / 4;
const BUCKETS: usize = 4;

/// What share of the rate before counts as recovered.
const SHARE: f64 = 0.9;

/// Effects a second before `begun`: the median of some seconds, so that a hiccup of the machine in one of
/// them does not make the fault look better.
pub(crate) fn rate_before(effects: &[Micros], begun: Micros) -> f64 {
    let of = |second| rate(effects, begun - second * SECOND, begun - (second - 1) * SECOND);
    bench::median(&(1..=STEADY_S).map(of).collect::<Vec<_>>())
}

/// Effects a second from one time to another.
pub(crate) fn rate(effects: &[Micros], from: Micros, to: Micros) -> f64 {
    let count = effects.iter().filter(|at| (from..to).contains(*at)).count();
    count as f64 / seconds(from, to)
}

/// Seconds from `ended` to the first second of effects, from one bucket to the next, that came to 90 % of the
/// rate before; infinite when there is none.
pub(crate) fn recovery_s(effects: &[Micros], ended: Micros, before_per_s: f64) -> f64 {
    let mut counts: Vec<u32> = Vec::new();
    for at in effects.iter().filter(|at| **at >= ended) {
        let bucket = ((at - ended) / BUCKET) as usize;
        if counts.len() <= bucket {
            counts.resize(bucket + 1, 0);
        }
        counts[bucket] += 1;
    }
    let window_s = seconds(0, BUCKET) * BUCKETS as f64;
    let wanted = before_per_s * window_s * SHARE;
    let recovered = counts.windows(BUCKETS).position(|w| f64::from(w.iter().sum::<u32>()) >= wanted);
    recovered.map_or(f64::INFINITY, |bucket| seconds(0, BUCKET) * bucket as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An effect every 10 ms.
    fn steadily(from_s: f64, to_s: f64) -> impl Iterator<Item = Micros> {
        (0..)
            .map(move |n| (from_s * 1e6) as Micros + n * 10_000)
            .take_while(move |at| *at < (to_s * 1e6) as Micros)
    }

    #[test]
    fn recovered_is_who_is_as_fast_as_before_for_a_second() {
        let effects: Vec<Micros> = steadily(0.0, 10.0).chain(steadily(13.0, 20.0)).collect();
        assert_eq!(rate_before(&effects, 10_000_000), 100.0);
        assert_eq!(recovery_s(&effects, 11_000_000, 100.0), 2.0);
        assert_eq!(recovery_s(&effects, 13_000_000, 100.0), 0.0);
        assert_eq!(recovery_s(&effects, 11_000_000, 112.0), f64::INFINITY, "never as fast");
        assert_eq!(recovery_s(&[], 0, 100.0), f64::INFINITY);
    }
}
