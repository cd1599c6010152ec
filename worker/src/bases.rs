use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use resume_core::source::definition::Definition;
use tokio::time::{Duration, Instant};

/// How long a fallback address is called, before one call tries whether the first address is back.
const AWAY: Duration = Duration::from_secs(60);

/// Which of its addresses each source is called at by this process: the one after that which failed last. So
/// not every page has to find out anew that the first one is away.
#[derive(Debug, Default)]
pub(crate) struct Bases(Mutex<HashMap<String, Fallback>>);

#[derive(Debug)]
struct Fallback {
    index: usize,
    until: Instant,
}

/// An address of a source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Base<'a> {
    definition: &'a Definition,
    /// `0` is the base URL, the others are the fallback URLs.
    index: usize,
}

impl<'a> Base<'a> {
    /// The address itself.
    pub(crate) fn url(self) -> &'a str {
        let Definition { base_url, fallback_urls, .. } = self.definition;
        self.index.checked_sub(1).and_then(|index| fallback_urls.get(index)).unwrap_or(base_url)
    }
}

impl Bases {
    /// The address to call now. Once in a while one call goes to the base URL again.
    pub(crate) fn of<'a>(&self, definition: &'a Definition) -> Base<'a> {
        let index = self.present(&definition.name);
        Base { definition, index: if index > definition.fallback_urls.len() { 0 } else { index } }
    }

    fn present(&self, source: &str) -> usize {
        let mut known = self.known();
        let Some(fallback) = known.get_mut(source) else { return 0 };
        if Instant::now() < fallback.until {
            return fallback.index;
        }
        // The others keep to the fallback meanwhile.
        fallback.until = Instant::now() + AWAY;
        0
    }

    /// Notes that no call was made to an address after all: if it was to try whether the base URL is back,
    /// the next one does.
    pub(crate) fn not_called(&self, base: Base<'_>) {
        if base.index == 0
            && let Some(fallback) = self.known().get_mut(&base.definition.name)
        {
            fallback.until = Instant::now();
        }
    }

    /// Notes that a source has answered at an address.
    pub(crate) fn answered(&self, base: Base<'_>) {
        if base.index == 0 && !base.definition.fallback_urls.is_empty() {
            self.known().remove(&base.definition.name);
        }
    }

    /// Notes that a source has failed at an address: the next call goes to the next one, if this was the
    /// present one.
    pub(crate) fn failed(&self, base: Base<'_>) {
        let definition = base.definition;
        let mut known = self.known();
        let present = known.get(&definition.name).map_or(0, |fallback| fallback.index);
        if definition.fallback_urls.is_empty() || present != base.index {
            return;
        }
        let index = (base.index + 1) % (definition.fallback_urls.len() + 1);
        known.insert(definition.name.clone(), Fallback { index, until: Instant::now() + AWAY });
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Fallback>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(fallbacks: &[&str]) -> Definition {
        let mut definition = Definition::original("a", "http://first", "/", 30);
        definition.fallback_urls = fallbacks.iter().map(|&url| url.to_owned()).collect();
        definition
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_address_is_called_until_the_first_one_is_back() {
        let (bases, definition) = (Bases::default(), definition(&["http://second", "http://third"]));
        let first = bases.of(&definition);
        assert_eq!(first.url(), "http://first");
        for _ in 0..2 {
            // Of several calls that were under way at the same address one is enough.
            bases.failed(first);
            assert_eq!(bases.of(&definition).url(), "http://second");
        }
        bases.answered(bases.of(&definition));
        bases.failed(bases.of(&definition));
        assert_eq!(bases.of(&definition).url(), "http://third");

        tokio::time::advance(AWAY).await;
        let trial = bases.of(&definition);
        assert_eq!(trial.url(), "http://first", "one tries whether it is back");
        bases.not_called(trial);
        let trial = bases.of(&definition);
        assert_eq!(trial.url(), "http://first", "another one, for that one did not");
        assert_eq!(bases.of(&definition).url(), "http://third", "the others do not");
        bases.failed(trial);
        assert_eq!(bases.of(&definition).url(), "http://third");
        bases.answered(trial);
        assert_eq!(bases.of(&definition).url(), "http://first");
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_last_one_comes_the_first() {
        let (bases, definition) = (Bases::default(), definition(&["http://second"]));
        for expected in ["http://first", "http://second", "http://first", "http://second"] {
            let base = bases.of(&definition);
            assert_eq!(base.url(), expected);
            bases.failed(base);
        }
    }

    #[test]
    fn a_source_with_one_address_has_one() {
        let (bases, definition) = (Bases::default(), definition(&[]));
        bases.failed(bases.of(&definition));
        assert_eq!(bases.of(&definition).url(), "http://first");
    }
}
