use std::ops::Range;

use crate::FaultKind;

/// What a page shows of a list, and where it leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// A person that comes first, again and changed.
    pub(super) changed: Option<u64>,
    /// The places shown. Past the end they begin anew.
    pub(super) places: Range<u64>,
    pub(super) next: Next,
}

/// Where a page leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It was the last one.
    End,
    /// There are more, and it does not say where.
    Missing,
    /// The next page begins here.
    At {
        place: u64,
        /// How many people it has.
        size: u64,
    },
}

/// The page of `size` people from `place` on, in a list of `total`, as a fault of the list leaves it.
pub(super) fn slice(total: u64, place: u64, size: u64, fault: Option<FaultKind>) -> Slice {
    let size = if fault == Some(FaultKind::PageSizeHalves) { (size / 2).max(1) } else { size };
    let end = place.saturating_add(size);
    let last = end.min(total);
    let regular = if end < total { Next::At { place: end, size } } else { Next::End };
    let places = place.min(last)..last;
    let whole = Slice { changed: None, places: places.clone(), next: regular };
    match fault {
        Some(FaultKind::NextEndless) => {
            Slice { places: place..end, next: Next::At { place: end, size }, ..whole }
        }
        Some(FaultKind::NextMissing) => Slice { next: Next::Missing, ..whole },
        Some(FaultKind::NextLoops) => Slice { next: Next::At { place: 0, size }, ..whole },
        Some(FaultKind::ItemsShift) => Slice { places: places.start.saturating_sub(1)..places.end, ..whole },
        Some(FaultKind::RepeatItems) => {
            Slice { places: places.start.saturating_sub(size.div_ceil(2))..places.end, ..whole }
        }
        Some(FaultKind::ItemChanges) => Slice { changed: places.start.checked_sub(1), ..whole },
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_it_ends() {
        let at = |place| slice(25, place, 10, None);
        assert_eq!(at(0), Slice { changed: None, places: 0..10, next: Next::At { place: 10, size: 10 } });
        assert_eq!(at(20), Slice { changed: None, places: 20..25, next: Next::End });
        assert!(at(u64::MAX).places.is_empty());
        assert!(slice(0, 0, 10, None).places.is_empty());
    }
}
