use std::{collections::VecDeque, time::Duration};

/// Finds the busiest stretch of each of some lengths, wherever it begins, from the times of calls in their
/// order. Keeps those of the longest stretch.
#[derive(Debug)]
pub(super) struct Busiest {
    stretches: Vec<Stretch>,
    /// The times, in microseconds, from the first one that is in any stretch.
    times: VecDeque<i64>,
    /// How many times came before those.
    gone: usize,
}

/// The stretch of a length that ends with the last call.
#[derive(Debug)]
struct Stretch {
    length_us: i64,
    /// The number of its first call.
    first: usize,
    /// The most calls that it had, wherever it ended.
    most: usize,
}

impl Busiest {
    /// For these lengths; each is looked at once, however often it is given.
    pub(super) fn new(lengths: impl IntoIterator<Item = Duration>) -> Self {
        let mut lengths: Vec<i64> = lengths.into_iter().map(microseconds).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let stretch = |length_us| Stretch { length_us, first: 0, most: 0 };
        Self { stretches: lengths.into_iter().map(stretch).collect(), times: VecDeque::new(), gone: 0 }
    }

    /// Takes the time of the next call. The end of a stretch does not belong to it: a call leaves a second
    /// exactly one second after it came.
    pub(super) fn take(&mut self, at_us: i64) {
        self.times.push_back(at_us);
        let end = self.gone + self.times.len();
        for stretch in &mut self.stretches {
            while at_us - self.times[stretch.first - self.gone] >= stretch.length_us {
                stretch.first += 1;
            }
            stretch.most = stretch.most.max(end - stretch.first);
        }
        let oldest = self.stretches.iter().map(|stretch| stretch.first).min().unwrap_or(end);
        self.times.drain(..oldest - self.gone);
        self.gone = oldest;
    }

    /// The most calls in any stretch of one of the lengths.
    pub(super) fn most_in(&self, length: Duration) -> i64 {
        let length_us = microseconds(length);
        let found = self.stretches.iter().find(|stretch| stretch.length_us == length_us);
        found.map_or(0, |stretch| i64::try_from(stretch.most).unwrap_or(i64::MAX))
    }
}

/// At least one: so is every call in a stretch that ends with itself.
fn microseconds(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: Duration = Duration::from_micros(1);

    fn busiest(lengths: &[u32], times: &[i64]) -> Busiest {
        let mut busiest = Busiest::new(lengths.iter().map(|&length| length * US));
        times.iter().for_each(|&at| busiest.take(at));
        busiest
    }

    #[test]
    fn a_stretch_ends_before_its_end() {
        let busiest = busiest(&[1000, 9000, 1000], &[0, 500, 900, 1000, 1400, 1499, 9000, 9999, 10_000]);
        assert_eq!([1000, 9000, 1].map(|length| busiest.most_in(length * US)), [5, 6, 0]);
        assert_eq!(busiest.stretches.len(), 2, "equal ones are looked at once");
    }

    #[test]
    fn no_more_is_kept_than_the_longest_stretch() {
        let times: Vec<i64> = (0..100_000).collect();
        let busiest = busiest(&[10, 100], &times);
        assert_eq!((busiest.times.len(), busiest.most_in(100 * US)), (100, 100));
        let mut none = Busiest::new([]);
        times.iter().for_each(|&at| none.take(at));
        assert_eq!(none.times.len(), 0);
    }

    proptest! {
        #[test]
        fn it_is_what_counting_gives(mut times in prop::collection::vec(0i64..200, 0..60), lengths in prop::collection::vec(1u32..250, 0..4)) {
            times.sort_unstable();
            let busiest = busiest(&lengths, &times);
            for length in lengths {
                let within = |end: i64| times.iter().filter(|&&at| at <= end && at > end - i64::from(length)).count();
                let counted = times.iter().map(|&end| within(end)).max().unwrap_or_default();
                prop_assert_eq!(busiest.most_in(length * US), counted as i64);
            }
        }
    }
}
