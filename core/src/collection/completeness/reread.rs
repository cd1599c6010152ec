use std::collections::BTreeSet;

use resume_queue::EnqueueError;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    doubts,
    look::{Asked, Look, Reading, count, look},
    readings,
};
use crate::{
    collection::{
        ahead,
        resume::{self, Beyond},
    },
    source,
};

/// How many pages are read again at least, where so many are doubtful, and as many that the list got since. Of a longer list it may
/// be a tenth.
const AGAIN_MAX: usize = 100;

/// Opens the doubtful pages of a collection again whose last page has closed, with a job each, and those that the list has got
/// meanwhile; once a run. Gives false where there is nothing to read, or nothing more: what is doubtful then is kept, and the
/// collection can end.
///
/// In the caller's transaction, which holds the lock of the collection. A page that somebody else changes at this moment, since
/// a job of it was retried, is left out: those take their locks the other way round.
///
/// # Errors
/// The database's; roll back.
pub(in crate::collection) async fn open_doubtful(
    conn: &mut PgConnection,
    collection_id: Uuid,
) -> Result<bool, EnqueueError> {
    let Some(run) = Run::find(conn, collection_id).await? else { return Ok(false) };
    let source = source::of_collection(conn, &run.source).await?;
    let list = &source.definition.list;
    if !list.is_windowed() && (list.is_fanned_out() || list.paging.total().is_none()) {
        // The pages of a chain lead on from one another: what comes twice lost nothing, and what was lost nobody tells.
        return Ok(false);
    }
    let readings = readings::all(conn, collection_id).await?;
    let look = match list.is_windowed() {
        _ if run.has_failed => Look::default(),
        true => look(&readings, run.asked()),
        false => count(&readings, run.asked()),
    };
    // The pages of a chain cannot be read one by one.
    if !run.has_read_again && list.is_windowed() {
        let pages = (readings.len() / 10).max(AGAIN_MAX);
        let again = &look.again[..look.again.len().min(pages)];
        let mut beyond = run.beyond(&look, &readings);
        beyond.numbers.truncate(pages);
        let opened = resume::read_again(conn, collection_id, again, beyond).await?;
        if opened > 0 {
            tracing::info!(%collection_id, pages = opened, "doubtful pages of a list are read again");
            return Ok(true);
        }
    }
    doubts::replace(conn, collection_id, &doubts::told(&look, &readings)).await?;
    Ok(false)
}

/// What is to be known of a run to judge it.
struct Run {
    source: String,
    count: i32,
    per_page: i32,
    has_read_again: bool,
    /// Whether a page of the list failed, which says enough.
    has_failed: bool,
}

impl Run {
    /// The run of a collection that has not ended.
    async fn find(conn: &mut PgConnection, collection_id: Uuid) -> Result<Option<Self>, sqlx::Error> {
        sqlx::query_as!(
            Self,
            r#"
            select source, count, per_page, reread_in_run is not distinct from run as "has_read_again!",
                   exists (select from pages where collection_id = $1 and state = 'failed' and step = 'list') as "has_failed!"
            from collections where id = $1 and finished_at is null
            "#,
            collection_id,
        )
        .fetch_optional(conn)
        .await
    }

    fn asked(&self) -> Asked {
        Asked { per_page: self.per_page.into(), count: self.count.into() }
    }

    /// The pages that the list has and nobody has opened: it grew, or an empty page had seemed to be its end.
    fn beyond(&self, look: &Look, readings: &[Reading]) -> Beyond {
        let known: BTreeSet<i32> = readings.iter().map(|reading| reading.page).collect();
        let filled = readings.iter().filter(|reading| !reading.keys.is_empty());
        let wanted: BTreeSet<i32> = match look.last_page {
            Some(last_page) => (1..=last_page).collect(),
            None if look.ends_too_early => {
                filled.flat_map(|reading| ahead::followers(reading.page, false)).collect()
            }
            None => BTreeSet::new(),
        };
        let pages_max = i32::try_from(self.asked().pages_max()).unwrap_or(i32::MAX);
        let numbers = wanted.difference(&known).copied().filter(|&page| page <= pages_max).collect();
        Beyond { numbers, last_page: look.last_page }
    }
}
