use std::collections::HashMap;

use crate::random::{Random, Use};

/// One way the system misbehaves, for which pages, and how often.
///
/// A list of faults is read in order at every accepted call; the first that applies happens, and the call is
/// served properly when none does. So `[Fault::new(Status(500), One(3), First(2)), Fault::new(Hang, One(3),
/// First(1))]` makes page 3 fail twice, hang once and then work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub kind: FaultKind,
    /// On which pages.
    pub pages: Pages,
    /// On which calls of such a page.
    pub times: Times,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A problem reply with this status, such as 500, 503 or 401. A status that HTTP does not know becomes
    /// 500.
    Status(u16),
    /// 429 with this `Retry-After`, in seconds, whatever the limit.
    RateLimited {
        /// The value of the header `Retry-After`.
        retry_after_seconds: u32,
    },
    /// The connection stays open and no answer comes.
    Hang,
    /// The right head, whose `Content-Length` announces the whole page; then half the body; then the
    /// connection drops.
    CutBody,
    /// Status 200 and a page whose last byte is wrong: all items can be read, and the whole is not JSON.
    InvalidJson,
    /// The last half page before this page comes first, then the page's own items. Page 1 has no page before
    /// it and is served as it is.
    RepeatItems,
    /// The next link leads back to page 1, also on the last page.
    NextLoops,
    /// A next link on every page, for ever, and never the same twice: past the end the items come again. APIs
    /// only.
    NextEndless,
    /// The page says that there are more and does not say where. APIs only.
    NextMissing,
    /// The position that was asked for has expired, told in the API's own words. APIs only.
    CursorExpired,
    /// The page has half of its items, and the next one begins behind them. APIs only.
    PageSizeHalves,
    /// Before this page a person came in at the head of the list, so this page begins with the last item of
    /// the page before. APIs only.
    ItemsShift,
    /// Before this page a person comes in at the head of the list, for good: every item moves on by one
    /// place. APIs only.
    PersonComes,
    /// Before this page the person of this index goes, for good: every item behind them moves up by one
    /// place. APIs only.
    PersonGoes(u32),
    /// The answer announces so many people more than there are. Where it announces their number at all; APIs
    /// only.
    AnnouncesMore(u32),
    /// The last item of the page before comes again in front, and has changed since. APIs only.
    ItemChanges,
    /// From this call on the credential is `mock-key-2`. APIs only.
    CredentialsRotate,
    /// 429 with a `Retry-After` that is a date, from a clock that is wrong by so much; the header `Date` is
    /// from the same clock.
    RateLimitedUntil {
        /// How far ahead of that clock the date is.
        retry_after_seconds: u32,
        /// How far the clock goes ahead of the true time; negative when it is late.
        clock_skew_seconds: i32,
    },
    /// The page, made 10 MB long by white space.
    HugePage,
    /// 130 kB of gzip that become 134 MB of spaces.
    GzipBomb,
    /// 302 to the same path on this address.
    Redirect(std::net::SocketAddr),
    /// 429, 500, hang, cut body or invalid JSON, each for so many calls in a hundred, drawn by seed, page and
    /// call; otherwise the page. [`Times::First`] bounds how many come in a row.
    Random {
        /// Another seed, other calls.
        seed: u64,
        /// From 0 to 20; 20 leaves no call whole.
        percent_each: u8,
    },
}

/// What [`Pages::One`] calls a call for one person's details: this, and their index.
pub const DETAILS_FROM: u32 = 100_000;

/// What [`Pages::One`] calls a call for a file: this, and the index of its person.
pub const FILES_FROM: u32 = 200_000_000;

/// On which pages a fault happens. An API that has several lists says in its file what their pages are
/// called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// On every page. [`Times`] counts each page for itself.
    All,
    /// On this page only.
    One(u32),
}

/// On which calls of a page a fault happens. Each fault counts, for each face and page, the calls that no
/// fault before it in the list took, from the moment the list was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// The first so many calls.
    First(u32),
    /// Every call.
    Always,
    /// One call in so many, in a pattern: over the pages of a collection, every k-th page fails at its first
    /// call (those whose number divides by k), and another k-th at each further call. 0 is never.
    OneIn(u32),
}

impl Fault {
    /// The three parts in one line.
    pub const fn new(kind: FaultKind, pages: Pages, times: Times) -> Self {
        Self { kind, pages, times }
    }
}

/// A list of faults and how often each had its chance.
#[derive(Default)]
pub(crate) struct FaultPlan {
    faults: Vec<Fault>,
    /// Calls seen by fault (position in the list), path or API, and page.
    calls: HashMap<(usize, &'static str, u32), u32>,
}

impl FaultPlan {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, calls: HashMap::new() }
    }

    /// What goes wrong with the next call of this page.
    pub(crate) fn next(&mut self, list: &'static str, page: u32) -> Option<FaultKind> {
        for (i, fault) in self.faults.iter().enumerate() {
            if matches!(fault.pages, Pages::One(only) if only != page) {
                continue;
            }
            let calls_before = self.calls.entry((i, list, page)).or_default();
            let applies = fault.times.applies(page, *calls_before);
            let call = *calls_before;
            *calls_before = calls_before.saturating_add(1);
            if applies {
                return fault.kind.drawn(page, call);
            }
        }
        None
    }
}

impl FaultKind {
    /// Itself, or what the draw makes of [`FaultKind::Random`].
    fn drawn(self, page: u32, call: u32) -> Option<Self> {
        let Self::Random { seed, percent_each } = self else { return Some(self) };
        let mut random = Random::new(Use::Fault, seed, u64::from(page) << 32 | u64::from(call));
        let kinds = [
            Self::RateLimited { retry_after_seconds: 1 },
            Self::Status(500),
            Self::Hang,
            Self::CutBody,
            Self::InvalidJson,
        ];
        let drawn = random.below(100).checked_div(percent_each.into())?;
        kinds.get(drawn as usize).copied()
    }
}

impl Times {
    fn applies(self, page: u32, calls_before: u32) -> bool {
        match self {
            Self::First(times) => calls_before < times,
            Self::Always => true,
            Self::OneIn(k) => (u64::from(page) + u64::from(calls_before)).checked_rem(k.into()) == Some(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERROR: FaultKind = FaultKind::Status(500);

    fn draw(plan: &mut FaultPlan, page: u32, times: usize) -> Vec<Option<FaultKind>> {
        (0..times).map(|_| plan.next("a", page)).collect()
    }

    #[test]
    fn a_list_is_a_sequence() {
        let mut plan = FaultPlan::new(vec![
            Fault::new(ERROR, Pages::One(3), Times::First(2)),
            Fault::new(FaultKind::Hang, Pages::One(3), Times::First(1)),
        ]);
        assert_eq!(draw(&mut plan, 2, 2), [None, None]);
        assert_eq!(draw(&mut plan, 3, 5), [Some(ERROR), Some(ERROR), Some(FaultKind::Hang), None, None]);
        assert_eq!(plan.next("b", 3), Some(ERROR), "each list counts for itself");
    }

    #[test]
    fn each_page_counts_for_itself() {
        let mut plan = FaultPlan::new(vec![Fault::new(ERROR, Pages::All, Times::First(1))]);
        for page in 1..4 {
            assert_eq!(draw(&mut plan, page, 2), [Some(ERROR), None]);
        }
    }

    #[test]
    fn one_in_k_is_spread_over_pages_and_moves_on_when_asked_again() {
        let mut plan = FaultPlan::new(vec![Fault::new(ERROR, Pages::All, Times::OneIn(3))]);
        let failing =
            |plan: &mut FaultPlan| (1..=9).filter(|&page| plan.next("a", page).is_some()).collect::<Vec<_>>();
        assert_eq!(failing(&mut plan), [3, 6, 9]);
        assert_eq!(failing(&mut plan), [2, 5, 8]);
        let mut never = FaultPlan::new(vec![Fault::new(ERROR, Pages::All, Times::OneIn(0))]);
        assert_eq!(failing(&mut never), [0; 0]);
    }

    #[test]
    fn random_faults_are_one_in_five_of_each_and_end() {
        let kind = FaultKind::Random { seed: 7, percent_each: 20 };
        let mut plan = FaultPlan::new(vec![Fault::new(kind, Pages::All, Times::First(3))]);
        let mut seen = HashMap::new();
        for page in 1..=1_000 {
            let drawn = draw(&mut plan, page, 4);
            assert!(drawn[..3].iter().all(Option::is_some) && drawn[3].is_none());
            drawn.into_iter().flatten().for_each(|kind| *seen.entry(format!("{kind:?}")).or_insert(0) += 1);
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.values().all(|times| (500..700).contains(times)), "{seen:?}");
        let never = FaultKind::Random { seed: 7, percent_each: 0 };
        let mut plan = FaultPlan::new(vec![Fault::new(never, Pages::All, Times::Always)]);
        assert_eq!(draw(&mut plan, 1, 3), [None; 3]);
    }

    #[test]
    fn always_is_always() {
        let mut plan = FaultPlan::new(vec![Fault::new(ERROR, Pages::One(1), Times::Always)]);
        assert_eq!(draw(&mut plan, 1, 3), [Some(ERROR); 3]);
    }
}
