//! Which pages of the same list follow a page. Pure.

use super::{Answer, Call, WINDOW_PAGES};
use crate::source::definition::{Paging, Step};

/// How many empty pages of a chain may come one after the other before it is taken for endless.
const EMPTY_IN_ROW_MAX: i32 = 1_000;

/// How many pages of a chain may show the same items one after the other before it is taken for endless.
const REPEATS_IN_ROW_MAX: i32 = 3;

/// How many more pages a chain may have than hold what was asked for: a source may give fewer items on a page
/// than it was asked for, or repeat some.
const PAGES_BEYOND_MAX: i64 = 10_000;

/// What follows a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// The pages to open, by their place in the list and, where the source gave one, link. Some may be open
    /// already.
    pub(super) open: Vec<(i32, Option<String>)>,
    /// The place of the last page there is, when this one tells.
    pub(super) last_page: Option<i32>,
    pub(super) end: End,
    /// Whether there may be more than was asked for.
    pub(super) is_cut: bool,
}

/// Whether a page ends its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// More pages are to come, or were opened before.
    No,
    /// The source says that this is the last one, or all that was asked for is there.
    Last,
    /// The next link was followed before. A link to the first page, whose address we made ourselves, is
    /// followed once.
    Loop,
    /// The pages go on without an end and bring nothing.
    Endless,
    /// The page shows the items of another one: it lies behind the end.
    Repeats,
}

impl End {
    /// The code and the text of the error that this end is, if it is one.
    pub(super) fn error(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::No | Self::Last => None,
            Self::Loop => Some(("next_link_loop", "the next link leads to a page that was read before")),
            Self::Endless => Some((
                "next_link_endless",
                "the next links go on and on, and the pages bring nothing new; the list is not read further",
            )),
            Self::Repeats => Some((
                crate::progress::PAGE_REPEATS,
                "the page shows the same items as one before it, so the list is taken to end there; a `total` in \
                 the definition's paging would tell",
            )),
        }
    }
}

impl Next {
    fn opening(pages: impl IntoIterator<Item = (i32, Option<String>)>) -> Self {
        Self { open: pages.into_iter().collect(), last_page: None, end: End::No, is_cut: false }
    }

    pub(super) fn ending(page: i32, end: End) -> Self {
        Self { open: Vec::new(), last_page: Some(page), end, is_cut: false }
    }
}

/// What is known of the pages before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// How many items the lists have shown, if the collection is to end when it has enough.
    pub(super) items: i64,
    /// How many pages before this one had no items, one after the other.
    pub(super) empty_in_row: i32,
    /// The first page that shows the same items, of a lower place.
    pub(super) repeats: Option<i32>,
    /// How many pages before this one show the same items, one after the other.
    pub(super) repeats_in_row: i32,
}

/// The pages that a collection begins with: those of a window if their number is known before, else the first
/// one alone.
pub(crate) fn first(is_windowed: bool, takes_count: bool, pages_max: i32) -> i32 {
    if is_windowed && takes_count { pages_max.min(WINDOW_PAGES) } else { 1 }
}

/// What follows a page that was stored.
pub(super) fn after(call: &Call, answer: &Answer, before: Before) -> Next {
    if call.is_windowed() {
        after_numbered(call, answer, before)
    } else {
        after_in_chain(call, answer, before)
    }
}

/// The numbered pages that follow one whose content is not known, because it was given up.
pub(super) fn after_failed(
    place: i32,
    takes_count: bool,
    pages_expected: Option<i32>,
    pages_max: i32,
) -> Vec<i32> {
    let last = pages_expected.map_or(pages_max, |expected| expected.min(pages_max));
    let mut pages = followers(place, takes_count);
    pages.retain(|&page| page <= last);
    pages
}

/// Each page but the first is among the followers of exactly one, so that a window of pages is open without
/// anybody keeping it. Where the end is not known two follow each page, until half a window is open: of a
/// source with few pages few are asked for in vain.
pub(crate) fn followers(place: i32, takes_count: bool) -> Vec<i32> {
    const HALF: i32 = WINDOW_PAGES / 2;
    match place {
        _ if takes_count => vec![place.saturating_add(WINDOW_PAGES)],
        ..HALF => vec![2 * place, 2 * place + 1],
        _ => vec![place.saturating_add(HALF)],
    }
}

/// The total of an answer, unless it cannot be true: fewer than the page itself shows to be there says
/// nothing.
pub(super) fn credible_total(call: &Call, answer: &Answer) -> Option<u64> {
    let shown = if answer.items.is_empty() { 0 } else { call.values.offset + answer.items.len() as u64 };
    answer.total.filter(|&total| total >= shown && !(total == 0 && call.place > 1))
}

fn after_numbered(call: &Call, answer: &Answer, before: Before) -> Next {
    if let Some(place) = before.repeats {
        return Next::ending(place, End::Repeats);
    }
    let takes_count = call.takes_count();
    let pages_max = call.pages_max();
    let total = credible_total(call, answer);
    let last_page = match total {
        Some(total) => {
            let pages = total.div_ceil(u64::from(call.values.per_page)).max(1);
            Some(i32::try_from(pages).unwrap_or(i32::MAX).min(pages_max))
        }
        // Only an empty page says that there are no more: one that is not full may be a fault of the source,
        // which then shows.
        None if !takes_count && answer.items.is_empty() => Some((call.place - 1).max(1)),
        None => None,
    };
    let expected = match (last_page, call.pages_expected) {
        // A page that has items is no page behind the end, whatever an answer said before.
        (Some(last), Some(known)) if total.is_none() => Some(last.min(known)),
        (last, known) => last.or(known),
    };
    let open = after_failed(call.place, takes_count, expected, pages_max);
    let is_full = answer.items.len() >= call.values.per_page as usize;
    let is_cut = match (total, call.count) {
        (_, None) => false,
        (Some(total), Some(count)) => total > count.unsigned_abs(),
        (None, Some(_)) => !takes_count && is_full && call.place >= pages_max,
    };
    Next { last_page, is_cut, ..Next::opening(open.into_iter().map(|page| (page, None))) }
}

fn after_in_chain(call: &Call, answer: &Answer, before: Before) -> Next {
    let items = before.items.saturating_add(answer.items.len() as i64);
    let is_counted = call.step == Step::List && !call.takes_count();
    let is_enough = is_counted && call.count.is_some_and(|count| items >= count);
    let is_beyond = call.count.is_some_and(|_| {
        let pages_max = i64::from(call.pages_max());
        i64::from(call.place) >= pages_max.saturating_add(before.items).saturating_add(PAGES_BEYOND_MAX)
    });
    match next(call, answer) {
        None => Next::ending(call.place, End::Last),
        Some(_) if is_enough => Next { is_cut: true, ..Next::ending(call.place, End::Last) },
        // The same cursor on an empty page means the same as none.
        Some(Some(link)) if answer.items.is_empty() && call.link.as_deref() == Some(&link) => {
            Next::ending(call.place, End::Last)
        }
        Some(_) if answer.items.is_empty() && before.empty_in_row >= EMPTY_IN_ROW_MAX || is_beyond => {
            Next::ending(call.place, End::Endless)
        }
        // A system that is told how many items are wanted should end by itself. It may repeat some.
        Some(_) if call.takes_count() && items >= items_in_vain_max(call) => {
            Next::ending(call.place, End::Endless)
        }
        Some(None) if before.repeats.is_some() => Next::ending(call.place, End::Repeats),
        Some(_) if before.repeats_in_row >= REPEATS_IN_ROW_MAX => Next::ending(call.place, End::Endless),
        Some(link) => Next::opening([(call.place + 1, link)]),
    }
}

/// How many items a chain may give before it is endless, of a source that is told how many are wanted.
fn items_in_vain_max(call: &Call) -> i64 {
    let per_page = i64::from(call.values.per_page);
    call.count.map_or(i64::MAX, |count| count.saturating_mul(2).saturating_add(10 * per_page))
}

/// The link to the next page of a chain, if there is one: `Some(None)` for a page that is asked for by its
/// number.
fn next(call: &Call, answer: &Answer) -> Option<Option<String>> {
    let list = call.source.definition.call_of(call.step)?;
    let Paging::Numbered { .. } = list.paging else { return answer.next.clone().map(Some) };
    let seen = call.values.offset + u64::from(call.values.per_page);
    let is_last = match credible_total(call, answer) {
        Some(total) => seen >= total,
        // Only an empty page says that there are no more: one that is not full may be a fault of the source.
        None => answer.items.is_empty(),
    };
    (!is_last).then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_follows_exactly_one() {
        for takes_count in [false, true] {
            let begun = first(true, takes_count, i32::MAX);
            let mut opened: Vec<i32> = (1..=begun).collect();
            opened.extend((1..1000).flat_map(|page| followers(page, takes_count)));
            opened.sort_unstable();
            let all: Vec<i32> = (1..=1000).collect();
            assert_eq!(opened[..1000], all, "takes a count: {takes_count}");
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
