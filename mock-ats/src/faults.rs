use std::collections::HashMap;

use crate::Face;

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
}

/// On which pages a fault happens.
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
    /// Calls seen by fault (position in the list), face and page.
    calls: HashMap<(usize, Face, u32), u32>,
}

impl FaultPlan {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults, calls: HashMap::new() }
    }

    /// What goes wrong with the next call of this page.
    pub(crate) fn next(&mut self, face: Face, page: u32) -> Option<FaultKind> {
        for (i, fault) in self.faults.iter().enumerate() {
            if matches!(fault.pages, Pages::One(only) if only != page) {
                continue;
            }
            let calls_before = self.calls.entry((i, face, page)).or_default();
            let applies = fault.times.applies(page, *calls_before);
            *calls_before = calls_before.saturating_add(1);
            if applies {
                return Some(fault.kind);
            }
        }
        None
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
        (0..times).map(|_| plan.next(Face::TestData, page)).collect()
    }

    #[test]
    fn a_list_is_a_sequence() {
        let mut plan = FaultPlan::new(vec![
            Fault::new(ERROR, Pages::One(3), Times::First(2)),
            Fault::new(FaultKind::Hang, Pages::One(3), Times::First(1)),
        ]);
        assert_eq!(draw(&mut plan, 2, 2), [None, None]);
        assert_eq!(draw(&mut plan, 3, 5), [Some(ERROR), Some(ERROR), Some(FaultKind::Hang), None, None]);
        assert_eq!(plan.next(Face::JsonResumes, 3), Some(ERROR), "each face counts for itself");
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
        let failing = |plan: &mut FaultPlan| {
            (1..=9).filter(|&page| plan.next(Face::TestData, page).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(failing(&mut plan), [3, 6, 9]);
        assert_eq!(failing(&mut plan), [2, 5, 8]);
        let mut never = FaultPlan::new(vec![Fault::new(ERROR, Pages::All, Times::OneIn(0))]);
        assert_eq!(failing(&mut never), [0; 0]);
    }

    #[test]
    fn always_is_always() {
        let mut plan = FaultPlan::new(vec![Fault::new(ERROR, Pages::One(1), Times::Always)]);
        assert_eq!(draw(&mut plan, 1, 3), [Some(ERROR); 3]);
    }
}
