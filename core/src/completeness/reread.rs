use std::collections::BTreeSet;

use resume_queue::EnqueueError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    doubts,
    findings::{Asked, Findings, Reading, compare, count},
    readings,
};
use crate::{
    call::{self, NewCall},
    source::{Source, definition::Step},
};

/// How many pages are read again at least, where so many are doubtful, and as many that the list got since.
/// Of a longer list it may be a tenth.
const AGAIN_MAX: usize = 100;

/// What a run is judged by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) collection_id: Uuid,
    pub(crate) source: &'a Source,
    pub(crate) count: Option<i64>,
    pub(crate) per_page: i32,
    /// Whether doubtful pages were read again in this run, or need not be.
    pub(crate) has_read_again: bool,
    /// Whether a page of the list failed, which says enough.
    pub(crate) has_failed: bool,
}

/// The outcome of judging a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// What is doubtful is kept.
    Final,
    /// These calls would read doubtful pages again, and pages that the list has got meanwhile; and the last
    /// page, where it is known.
    ReadAgain(Vec<NewCall>, Option<i32>),
}

/// Judges the list of a run whose calls have all ended, and keeps what is doubtful about it; or says which
/// pages are to be read again first.
///
/// Reads eight bytes for each item of the list. In the caller's transaction.
///
/// # Errors
/// The database's; roll back.
pub(crate) async fn judge(conn: &mut PgConnection, run: Judged<'_>) -> Result<Verdict, EnqueueError> {
    let list = &run.source.definition.list;
    if !list.is_windowed() && (list.is_fanned_out() || list.paging.total().is_none()) {
        // The pages of a chain lead on from one another: an item that comes twice pushed no
        // other one out, and nothing shows what was lost.
        return Ok(Verdict::Final);
    }
    let readings = readings::all(conn, run.collection_id).await?;
    let (is_windowed, has_failed, asked) = (list.is_windowed(), run.has_failed, run.asked());
    // Sorting a million keys takes a tenth of a second, which is no work for the threads that serve others.
    let judging = tokio::task::spawn_blocking(move || {
        let found = match is_windowed {
            _ if has_failed => Findings::default(),
            true => compare(&readings, asked),
            false => count(&readings, asked),
        };
        (found, readings)
    });
    let (found, readings) = match judging.await {
        Ok(judged) => judged,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    };
    // The pages of a chain cannot be read one by one.
    if !run.has_read_again && is_windowed {
        let again = run.again(&found, &readings);
        if !again.is_empty() {
            return Ok(Verdict::ReadAgain(again, found.last_page));
        }
    }
    doubts::replace(conn, run.collection_id, &doubts::of(&found)).await?;
    Ok(Verdict::Final)
}

impl Judged<'_> {
    fn asked(&self) -> Asked {
        Asked { per_page: self.per_page.into(), count: self.count.unwrap_or(i64::MAX) }
    }

    /// The doubtful pages, and those that the list has and nobody has opened: it grew, or an empty page had
    /// seemed to be its end.
    fn again(&self, found: &Findings, readings: &[Reading]) -> Vec<NewCall> {
        let pages_at_most = (readings.len() / 10).max(AGAIN_MAX);
        let doubtful = found.again.iter().take(pages_at_most).map(|&place| {
            let reading = readings.iter().filter(|r| r.page == place).map(|r| r.round).max().unwrap_or(1) + 1;
            NewCall { reading, ..NewCall::page(Step::List, "", place, None) }
        });
        let known: BTreeSet<i32> = readings.iter().map(|reading| reading.page).collect();
        let wanted: BTreeSet<i32> = match found.last_page {
            Some(last_page) => (1..=last_page).collect(),
            None if found.ends_too_early => {
                let filled = readings.iter().filter(|reading| !reading.keys.is_empty());
                filled.flat_map(|reading| call::followers(reading.page, false)).collect()
            }
            None => BTreeSet::new(),
        };
        let pages_max = i32::try_from(self.asked().pages_max()).unwrap_or(i32::MAX);
        let beyond = wanted.difference(&known).copied().filter(|&page| page <= pages_max);
        let beyond = beyond.take(pages_at_most).map(|place| NewCall::page(Step::List, "", place, None));
        doubtful.chain(beyond).collect()
    }
}
