/// A stream of random numbers, the same for ever for the same start.
///
/// This is `SplitMix64`, after the public-domain code of Sebastiano Vigna
/// (<https://prng.di.unimi.it/splitmix64.c>). It is written out here, and not taken from a crate, because the
/// people of a seed must stay the same in every version: tests, benches and stored collections name people by
/// seed, and crates such as `rand` keep the right to change their streams.
pub(crate) struct Random {
    state: u64,
}

/// What a stream is for. Streams for different uses are independent, so that drawing one number more for a
/// name does not change who is broken.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Person = 1,
    JsonResume = 2,
    Breakage = 3,
    Latency = 4,
    Fault = 5,
    Candidate = 6,
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The stream of one index of one seed. The start is mixed twice, so that neighbours have nothing in
    /// common.
    pub(crate) fn new(purpose: Use, seed: u64, index: u64) -> Self {
        let seed = mix(seed.wrapping_add((purpose as u64).wrapping_mul(GOLDEN_GAMMA)));
        Self { state: mix(seed.wrapping_add(index.wrapping_mul(GOLDEN_GAMMA))) }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number from 0 to `bound` - 1; 0 when `bound` is 0. By multiplication, not by remainder (Lemire 2019,
    /// "Fast random integer generation in an interval"); the bias is below 1 in 4 million for the bounds used
    /// here.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(bound) * (self.next() >> 32)) >> 32) as u32
    }

    /// One of the choices. `choices` must not be empty.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference code for the state 1234567.
    #[test]
    fn it_is_splitmix64() {
        let mut random = Random { state: 1_234_567 };
        let drawn = [(); 3].map(|()| random.next());
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn below_stays_below_and_reaches_all() {
        let mut random = Random::new(Use::Person, 0, 0);
        let mut seen = [false; 6];
        (0..1_000).for_each(|_| seen[random.below(6) as usize] = true);
        assert_eq!(seen, [true; 6]);
        assert_eq!(random.below(0), 0);
    }
}
