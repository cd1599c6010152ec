use std::time::Duration;

/// The wait after the first failure.
const BASE: Duration = Duration::from_secs(1);
/// The longest wait; ten attempts then spread over some six minutes.
const MAX: Duration = Duration::from_secs(300);

/// The longest time that anybody may ask a job to wait, so that a hostile `Retry-After` stays a date that
/// PostgreSQL can write.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long a job waits after its failed attempt number `attempt` (from 1): 1 s, 2 s, 4 s, .. up to 300 s, of
/// which a random half is jitter ("equal jitter", AWS Architecture Blog, "Exponential Backoff And Jitter",
/// 2015), so that jobs that failed together do not come back together.
pub(crate) fn after(attempt: u32) -> Duration {
    let full = BASE.saturating_mul(2u32.saturating_pow(attempt.saturating_sub(1))).min(MAX);
    full / 2 + jitter(full / 2)
}

/// A random time from zero to `most`.
pub(crate) fn jitter(most: Duration) -> Duration {
    most.mul_f64(unit_random())
}

/// A number from 0 to 1. The standard library seeds each `RandomState` anew, which is random enough to spread
/// waits.
fn unit_random() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(()) as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_maximum() {
        for (attempt, full) in [(1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (1000, 300)] {
            let full = Duration::from_secs(full);
            for _ in 0..20 {
                let wait = after(attempt);
                assert!(wait >= full / 2 && wait <= full, "attempt {attempt}: {wait:?}");
            }
        }
    }

    #[test]
    fn waits_differ() {
        let first = after(5);
        assert!((0..50).any(|_| after(5) != first));
    }
}
