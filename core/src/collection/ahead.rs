//! Which pages of the same list follow a page. Pure.

use super::{FetchedPage, PageToFetch, WINDOW_PAGES, steps::is_tallied};
use crate::source::definition::{Paging, Step};

/// The most pages of a list of ids, of parents or of those who were deleted: with a hundred each there are a million.
const IDS_PAGES_MAX: i32 = 10_000;

/// The most pages without an item in a chain: systems that filter after they have cut their pages have many
/// in a row. It does not depend on what was asked for, for that says nothing of how full the pages are.
const EMPTY_PAGES_MAX: i32 = 1_000;

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ahead {
    /// The pages to open, by their place in the list and, where the source gave one, link. Some may be open already.
    pub(super) open: Vec<(i32, Option<String>)>,
    /// The place of the last page there is, when this one tells.
    pub(super) last_page: Option<i32>,
    pub(super) end: End,
    /// Whether there may be more than was asked for.
    pub(super) is_cut: bool,
}

/// Whether a page ends its chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More pages are to come, or were opened before.
    No,
    /// The source says that this is the last one, or all that was asked for is there.
    Last,
    /// The next link is one that was followed before. A link to the first page, whose address we made ourselves, is followed once.
    Loop,
    /// There is no end to the next links.
    Endless,
}

impl End {
    /// The code and the text of the error that this end is, if it is one.
    pub(super) fn error(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::No | Self::Last => None,
            Self::Loop => Some(("next_link_loop", "the next link leads to a page that was read before")),
            Self::Endless => {
                Some(("next_link_endless", "the next links go on, and their pages bring nothing"))
            }
        }
    }
}

impl Ahead {
    fn opening(pages: impl IntoIterator<Item = (i32, Option<String>)>) -> Self {
        Self { open: pages.into_iter().collect(), last_page: None, end: End::No, is_cut: false }
    }

    pub(super) fn ending(page: i32, end: End) -> Self {
        Self { open: Vec::new(), last_page: Some(page), end, is_cut: false }
    }
}

/// The pages that a collection begins with: those of a window if their number is known before, else the first one alone.
pub(super) fn first(is_numbered: bool, is_told_count: bool, pages_max: i32) -> i32 {
    if is_numbered && is_told_count { pages_max.min(WINDOW_PAGES) } else { 1 }
}

/// Whether [`after`] wants to know how many items the pages so far had: a chain may have brought enough, or nothing
/// for too long. Not before it must, for counting reads every page; unless the collection counts its items anyway.
pub(super) fn may_be_enough(page: &PageToFetch) -> bool {
    let is_late = page.place >= page.pages_max() || page.place % EMPTY_PAGES_MAX == 0 || is_tallied(page);
    page.step == Step::List && !page.is_windowed() && is_late
}

/// What follows a page that was stored. `items_before`: how many items the pages stored so far had, if it
/// [may be enough](may_be_enough).
pub(super) fn after(page: &PageToFetch, fetched: &FetchedPage, items_before: i64) -> Ahead {
    if page.is_windowed() {
        after_numbered(page, fetched)
    } else {
        after_in_chain(page, fetched, items_before)
    }
}

/// The numbered pages that follow one whose content is not known, because it was given up.
pub(super) fn after_failed(
    page: i32,
    is_told_count: bool,
    pages_expected: Option<i32>,
    pages_max: i32,
) -> Vec<i32> {
    let last = pages_expected.map_or(pages_max, |expected| expected.min(pages_max));
    let mut pages = followers(page, is_told_count);
    pages.retain(|&page| page <= last);
    pages
}

/// Each page but the first is among the followers of exactly one, so that a window of pages is open without anybody
/// keeping it. Where the end is not known two follow each page, until half a window is open: of a source with few pages few are
/// asked for in vain.
pub(super) fn followers(page: i32, is_told_count: bool) -> Vec<i32> {
    const HALF: i32 = WINDOW_PAGES / 2;
    match page {
        _ if is_told_count => vec![page.saturating_add(WINDOW_PAGES)],
        ..HALF => vec![2 * page, 2 * page + 1],
        _ => vec![page.saturating_add(HALF)],
    }
}

fn after_numbered(page: &PageToFetch, fetched: &FetchedPage) -> Ahead {
    let told = page.source.definition.list.is_told_count();
    let pages_max = page.pages_max();
    let last_page = match fetched.total {
        Some(total) => {
            let pages = total.div_ceil(u64::from(page.values.per_page)).max(1);
            Some(i32::try_from(pages).unwrap_or(i32::MAX).min(pages_max))
        }
        // Only an empty page says that there are no more: one that is not full may be a fault of the source, which then shows.
        None if !told && fetched.items.is_empty() => Some((page.place - 1).max(1)),
        None => None,
    };
    let expected = match (last_page, page.pages_expected) {
        (Some(told), Some(known)) => Some(told.min(known)),
        (told, known) => told.or(known),
    };
    let open = after_failed(page.place, told, expected, pages_max);
    let is_full = fetched.items.len() >= page.values.per_page as usize;
    let is_cut = match fetched.total {
        Some(total) => total > u64::from(page.values.count),
        None => !told && is_full && page.place >= pages_max,
    };
    Ahead { last_page, is_cut, ..Ahead::opening(open.into_iter().map(|page| (page, None))) }
}

fn after_in_chain(page: &PageToFetch, fetched: &FetchedPage, items_before: i64) -> Ahead {
    let items = items_before.saturating_add(fetched.items.len() as i64);
    let is_counted = page.step == Step::List && !page.source.definition.list.is_told_count();
    let enough = is_counted && items >= i64::from(page.values.count);
    match next(page, fetched) {
        None => Ahead::ending(page.place, End::Last),
        Some(_) if enough => Ahead { is_cut: true, ..Ahead::ending(page.place, End::Last) },
        Some(_) if is_endless(page, fetched, items) => Ahead::ending(page.place, End::Endless),
        Some(link) => Ahead::opening([(page.place + 1, link)]),
    }
}

/// The link to the next page of a chain, if there is one: `Some(None)` for a page that is asked for by its number.
fn next(page: &PageToFetch, fetched: &FetchedPage) -> Option<Option<String>> {
    let call = page.source.definition.call_of(page.step)?;
    let Paging::Numbered { .. } = call.paging else { return fetched.next.clone().map(Some) };
    let seen = page.values.offset + u64::from(page.values.per_page);
    let is_last = match fetched.total {
        Some(total) => seen >= total,
        // Only an empty page says that there are no more: one that is not full may be a fault of the source.
        None => fetched.items.is_empty(),
    };
    (!is_last).then_some(None)
}

/// Whether a chain is cut off at this page. `items` is how many this page and those before it have.
fn is_endless(page: &PageToFetch, fetched: &FetchedPage, items: i64) -> bool {
    if matches!(page.step, Step::Parents | Step::Deleted) {
        return page.place >= IDS_PAGES_MAX;
    }
    let (count, per_page) = (i64::from(page.values.count), i64::from(page.values.per_page));
    // A system that is told how many items are wanted should end by itself. It may repeat some.
    let is_told_in_vain = page.source.definition.list.is_told_count() && items >= 2 * count + 10 * per_page;
    let empty_pages = i64::from(page.place).saturating_sub(items);
    let is_idle = fetched.items.is_empty() && empty_pages >= EMPTY_PAGES_MAX.into();
    may_be_enough(page) && (is_told_in_vain || is_idle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_follows_exactly_one() {
        for is_told_count in [false, true] {
            let begun = first(true, is_told_count, i32::MAX);
            let mut opened: Vec<i32> = (1..=begun).collect();
            opened.extend((1..1000).flat_map(|page| followers(page, is_told_count)));
            opened.sort_unstable();
            let all: Vec<i32> = (1..=1000).collect();
            assert_eq!(opened[..1000], all, "told: {is_told_count}");
        }
    }

    #[test]
    fn few_pages_are_asked_for_in_vain() {
        for last in 1..100 {
            let mut pages = vec![1];
            let mut at = 0;
            while let Some(&page) = pages.get(at) {
                at += 1;
                if page <= last {
                    pages.extend(followers(page, false));
                }
            }
            let vain = pages.len() as i32 - last;
            assert!(vain <= (last + 1).min(WINDOW_PAGES), "{vain} for {last}");
        }
    }
}
