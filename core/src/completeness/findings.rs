//! What the readings of a list show. Pure.
//!
//! The readings are divided into epochs: one ends where an answer announces another total than the one before
//! it, and where an item turns up on a second page. Neighbours that were read in the same epoch show a list
//! that did not move between them. Of those that were not, an item may have passed from the page that was
//! still to be read to the one that was read already: the page that was read earlier is read again.

use std::collections::{BTreeMap, BTreeSet};

/// What one reading of a page showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) page: i32,
    /// How often the doubtful pages had been opened again before it.
    pub(super) round: i32,
    /// The keys of its items, in order.
    pub(super) keys: Vec<i64>,
    /// How many items the answer said there are.
    pub(super) total: Option<i64>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Items on a page.
    pub(super) per_page: i64,
    /// How many items at most.
    pub(super) count: i64,
}

impl Asked {
    pub(super) fn pages_max(self) -> i64 {
        self.count.saturating_add(self.per_page - 1) / self.per_page.max(1)
    }
}

/// What the readings of a list show; by default, nothing doubtful.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Pairs of pages between which the list moved, and which no two readings show as they lay.
    pub(super) shifted: BTreeSet<[i32; 2]>,
    /// Pages with fewer items than were asked for, although pages behind them have some.
    pub(super) short: BTreeSet<i32>,
    /// The least number of items that was announced, if any was, as far as they were asked for.
    pub(super) announced: Option<i64>,
    /// How many different items were seen.
    pub(super) seen: i64,
    /// Pages to read again, the most doubtful first.
    pub(super) again: Vec<i32>,
    /// Whether the list was ended by a page that is not its last one: empty, with items behind it.
    pub(super) ends_too_early: bool,
    /// The last page that the list had at its longest; of a list that announces its total.
    pub(super) last_page: Option<i32>,
}

impl Findings {
    /// How many of the announced items were not seen.
    pub(super) fn missing(&self) -> i64 {
        self.announced.map_or(0, |announced| announced.saturating_sub(self.seen).max(0))
    }
}

/// Compares the readings of a numbered list, which are in the order of their time. Finds nothing where a page
/// was never read, because it failed.
pub(super) fn compare(readings: &[Reading], asked: Asked) -> Findings {
    let latest: BTreeMap<i32, usize> =
        readings.iter().enumerate().map(|(at, reading)| (reading.page, at)).collect();
    let pages: Vec<&Reading> = latest.values().map(|&at| &readings[at]).collect();
    let filled = pages.iter().rev().find(|reading| !reading.keys.is_empty());
    let last_filled = filled.map_or(0, |reading| reading.page);
    if (1..=last_filled).any(|page| !latest.contains_key(&page)) {
        return Findings::default();
    }
    let found = repeats(readings);
    let epochs = Epochs::of(readings, &found.pairs);
    let is_latest = |at: &usize| latest.get(&readings[*at].page) == Some(at);
    let repeated = found.pairs.iter().filter(|pair| pair.iter().all(is_latest));
    let mut shifted: BTreeSet<[i32; 2]> =
        repeated.map(|pair| sorted(pair.map(|at| readings[at].page))).collect();
    let mut again: Vec<i32> = shifted.iter().flatten().copied().collect();
    for pair in (1..last_filled).map(|page| [page, page + 1]).filter(|&pair| !epochs.share(pair)) {
        shifted.insert(pair);
        again.extend(epochs.to_read_again(pair.map(|page| latest[&page]), pair));
    }
    let is_short =
        |reading: &&&Reading| reading.page < last_filled && (reading.keys.len() as i64) < asked.per_page;
    let short: BTreeSet<i32> = pages.iter().filter(is_short).map(|reading| reading.page).collect();
    again.extend(short.iter().copied().chain(below_total(&pages, asked)));
    let mut known = BTreeSet::new();
    again.retain(|&page| known.insert(page));
    let announced = announced(readings, asked);
    let is_hole = |reading: &&Reading| reading.page < last_filled && reading.keys.is_empty();
    let ends_too_early = announced.is_none() && pages.iter().any(is_hole);
    let last_page = last_page(readings, asked);
    Findings { shifted, short, announced, seen: found.seen, again, ends_too_early, last_page }
}

/// Compares how many different items the readings of a chain show with how many were announced, and nothing
/// else. A chain that was cut, because it has more than were asked for, may have ended with an item that came
/// twice.
pub(super) fn count(readings: &[Reading], asked: Asked) -> Findings {
    let least = readings.iter().filter_map(|reading| reading.total).min();
    let announced = least.filter(|&total| total <= asked.count);
    Findings { announced, seen: repeats(readings).seen, ..Findings::default() }
}

fn sorted([a, b]: [i32; 2]) -> [i32; 2] {
    [a.min(b), a.max(b)]
}

fn announced(readings: &[Reading], asked: Asked) -> Option<i64> {
    readings.iter().filter_map(|reading| reading.total).min().map(|total| total.min(asked.count))
}

fn last_page(readings: &[Reading], asked: Asked) -> Option<i32> {
    let total = readings.iter().filter_map(|reading| reading.total).max()?;
    let pages = total.saturating_add(asked.per_page - 1) / asked.per_page.max(1);
    i32::try_from(pages.min(asked.pages_max())).ok()
}

/// The pages that have fewer items than they should have by the total that they announce themselves.
fn below_total(pages: &[&Reading], asked: Asked) -> Vec<i32> {
    let is_below = |reading: &Reading| {
        let before = i64::from(reading.page - 1) * asked.per_page;
        let left = reading.total.map_or(0, |total| total.min(asked.count).saturating_sub(before));
        (reading.keys.len() as i64) < left.min(asked.per_page)
    };
    pages.iter().filter(|reading| is_below(reading)).map(|reading| reading.page).collect()
}

/// What turned up more than once.
struct Repeats {
    /// How many different items there are in all readings.
    seen: i64,
    /// Of each two readings of one round, of different pages, that have an item in common, the two, the
    /// earlier one first. Not all of them where there are many.
    pairs: BTreeSet<[usize; 2]>,
}

/// Sorts all keys: sixteen bytes for each item.
fn repeats(readings: &[Reading]) -> Repeats {
    let mut keys: Vec<(i64, u32)> =
        Vec::with_capacity(readings.iter().map(|reading| reading.keys.len()).sum());
    for (at, reading) in (0..).zip(readings) {
        keys.extend(reading.keys.iter().map(|&key| (key, at)));
    }
    keys.sort_unstable();
    let mut found = Repeats { seen: 0, pairs: BTreeSet::new() };
    for same in keys.chunk_by(|a, b| a.0 == b.0) {
        found.seen += 1;
        for (index, &(_, later)) in same.iter().enumerate() {
            let later = later as usize;
            let earlier = same[..index].iter().map(|&(_, earlier)| earlier as usize).rev().find(|&earlier| {
                readings[earlier].round == readings[later].round
                    && readings[earlier].page != readings[later].page
            });
            if let Some(earlier) = earlier {
                found.pairs.insert([earlier, later]);
            }
        }
    }
    found
}

/// How often the announced total had changed before each reading.
fn epochs_by_total(readings: &[Reading]) -> Vec<u32> {
    let (mut epoch, mut total) = (0, None);
    let mut epoch_of = |reading: &Reading| {
        epoch += u32::from(total.is_some() && reading.total.is_some() && reading.total != total);
        total = reading.total.or(total);
        epoch
    };
    readings.iter().map(&mut epoch_of).collect()
}

/// Between which changes of the list each page was read.
struct Epochs {
    /// By reading.
    of: Vec<u32>,
    /// By page.
    seen_in: BTreeMap<i32, BTreeSet<u32>>,
}

impl Epochs {
    fn of(readings: &[Reading], repeats: &BTreeSet<[usize; 2]>) -> Self {
        let by_total = epochs_by_total(readings);
        // What another total shows already is no second change.
        let shown_by_repeats =
            repeats.iter().filter(|[earlier, later]| by_total[*earlier] == by_total[*later]);
        let moved: BTreeSet<usize> = shown_by_repeats.map(|[_, later]| *later).collect();
        let mut moves = 0;
        let mut epochs = Self { of: Vec::with_capacity(readings.len()), seen_in: BTreeMap::new() };
        for (at, reading) in readings.iter().enumerate() {
            moves += u32::from(moved.contains(&at));
            epochs.of.push(by_total[at] + moves);
            epochs.seen_in.entry(reading.page).or_default().insert(by_total[at] + moves);
        }
        epochs
    }

    fn share(&self, [a, b]: [i32; 2]) -> bool {
        !self.seen_in[&a].is_disjoint(&self.seen_in[&b])
    }

    /// Which of two neighbours, whose latest readings these are, to read again: the one that was read
    /// earlier; both, where the list has moved since the later one, too.
    fn to_read_again(&self, [a, b]: [usize; 2], [page_a, page_b]: [i32; 2]) -> Vec<i32> {
        let is_present = self.of.last() == Some(&self.of[a.max(b)]);
        match a < b {
            _ if !is_present => vec![page_a, page_b],
            true => vec![page_a],
            false => vec![page_b],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN: Asked = Asked { per_page: 10, count: 1000 };

    /// A first reading of a page.
    fn read(page: i32, keys: impl IntoIterator<Item = i64>, total: Option<i64>) -> Reading {
        Reading { page, keys: keys.into_iter().collect(), total, ..Reading::default() }
    }

    fn again(reading: Reading) -> Reading {
        Reading { round: 1, ..reading }
    }

    fn pairs(found: &Findings) -> Vec<[i32; 2]> {
        found.shifted.iter().copied().collect()
    }

    #[test]
    fn a_list_that_lies_still_leaves_no_doubt() {
        for total in [None, Some(25)] {
            let list =
                [read(1, 0..10, total), read(3, 20..25, total), read(2, 10..20, total), read(4, [], total)];
            let expected =
                Findings { announced: total, seen: 25, last_page: total.map(|_| 3), ..Findings::default() };
            assert_eq!(compare(&list, TEN), expected);
        }
        assert_eq!(compare(&[], TEN), Findings::default());
        assert_eq!(compare(&[read(1, [], None)], TEN), Findings::default());
    }

    /// Somebody comes in at the head (-1): the last item of a page comes again on the next one.
    #[test]
    fn what_comes_twice_shows_an_insertion() {
        for (before, after) in [(None, None), (Some(25), Some(26))] {
            let mut list = vec![read(1, 0..10, before), read(2, 9..19, after), read(3, 19..25, after)];
            let found = compare(&list, TEN);
            assert_eq!((pairs(&found), &found.again[0]), (vec![[1, 2]], &1));
            assert_eq!((found.seen, found.missing()), (25, 0));
            list.extend([again(read(1, [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8], after))]);
            if before.is_none() {
                list.push(again(read(2, 9..19, after)));
            }
            let found = compare(&list, TEN);
            assert_eq!((pairs(&found), found.again, found.seen), (vec![], vec![], 26));
        }
    }

    /// The third person goes after the first page: the tenth is on that page then, and on no other.
    #[test]
    fn a_total_that_drops_shows_a_deletion() {
        let mut list = vec![read(1, 0..10, Some(25)), read(2, 11..21, Some(24)), read(3, 21..25, Some(24))];
        let found = compare(&list, TEN);
        assert_eq!((pairs(&found), found.again), (vec![[1, 2]], vec![1]));
        list.push(again(read(1, (0..11).filter(|&key| key != 3), Some(24))));
        let found = compare(&list, TEN);
        assert_eq!((pairs(&found), found.again, found.seen), (vec![], vec![], 25));
        // The list moved again before that.
        list[3].total = Some(23);
        let found = compare(&list, TEN);
        assert_eq!((pairs(&found), found.again), (vec![[1, 2]], vec![2]));
    }

    /// Side by side, pages are read in any order: the one that was read before the list moved is read again.
    #[test]
    fn of_two_neighbours_the_earlier_one_is_read_again() {
        let list = [
            read(3, 20..30, Some(40)),
            read(1, 0..10, Some(40)),
            read(4, 29..39, Some(41)),
            read(2, 9..19, Some(41)),
            read(5, 39..40, Some(41)),
        ];
        let found = compare(&list, TEN);
        assert_eq!(pairs(&found), [[1, 2], [2, 3], [3, 4]]);
        assert_eq!(found.again.iter().collect::<BTreeSet<_>>(), BTreeSet::from([&1, &2, &3, &4]));
    }

    #[test]
    fn what_was_announced_and_not_seen_is_missing() {
        let list = [read(1, 0..10, Some(30)), read(2, 10..20, Some(30)), read(3, 20..25, Some(30))];
        let found = compare(&list, TEN);
        assert_eq!(
            (found.announced, found.seen, found.missing(), &found.again[..]),
            (Some(30), 25, 5, &[3][..])
        );
        assert!(found.short.is_empty() && found.shifted.is_empty());
        // As many as were asked for are there.
        assert_eq!(compare(&list, Asked { per_page: 10, count: 25 }).missing(), 0);
        let empty = compare(&[read(1, [], Some(7))], TEN);
        assert_eq!((empty.missing(), empty.again), (7, vec![1]));
    }

    #[test]
    fn a_page_that_is_short_is_read_again() {
        let list = [read(1, 0..5, None), read(2, 10..20, None), read(3, 20..22, None), read(4, [], None)];
        let found = compare(&list, TEN);
        assert_eq!((found.short, found.again, found.ends_too_early), (BTreeSet::from([1]), vec![1], false));
        let list = [read(1, 0..10, None), read(2, [], None), read(3, 20..22, None)];
        let found = compare(&list, TEN);
        assert_eq!((found.short, found.again, found.ends_too_early), (BTreeSet::from([2]), vec![2], true));
    }

    #[test]
    fn a_list_that_grew_by_a_page_has_one_more() {
        let list = [read(1, 0..10, Some(20)), read(2, 9..19, Some(21))];
        assert_eq!(compare(&list, TEN).last_page, Some(3));
        assert_eq!(compare(&list, Asked { per_page: 10, count: 20 }).last_page, Some(2));
    }

    /// Nothing is said of a list that has a hole, nor of what nobody could have.
    #[test]
    fn hostile_numbers_do_no_harm() {
        assert_eq!(compare(&[read(2, 0..10, Some(5))], TEN), Findings::default());
        for total in [i64::MAX, 0, -1, i64::MIN] {
            let list =
                [read(1, 0..10, Some(total)), read(2, [], Some(i64::MIN)), read(3, 5..7, Some(i64::MAX))];
            let found = compare(&list, TEN);
            assert!(found.missing() <= 1000 && found.last_page <= Some(100), "{found:?}");
            compare(&list, Asked { per_page: 0, count: 0 });
        }
    }
}
