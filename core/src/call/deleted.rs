//! Who is there and who was deleted, as answers tell: the lists, the items themselves, and the feed of those
//! who were deleted, which is read beside the lists.
//!
//! The feed reaches back, and may name somebody who has come back since, whom the list has too. Within a run
//! the list wins: what the feed says takes effect at the end of the run (`completeness/hide.rs`), when all of
//! both is known.

use sqlx::PgConnection;

use super::{Answer, Call};
use crate::{
    document::{self, NewDocument},
    resume,
    source::definition::{Deleted, Step},
};

/// Hides the resumes of those whom the items of an answer flag as deleted, and shows those again whom it
/// lists. Returns whom a page of the feed names, as far as we know them.
///
/// In the caller's transaction, which also stores the answer; locks the resumes in the order of their
/// numbers.
///
/// # Errors
/// The database's; roll back.
pub(super) async fn note(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let definition = &call.source.definition;
    let Some(deleted) = definition.list.hiding() else { return Ok(None) };
    match call.step {
        Step::Deleted => {
            let people = document::known(conn, call.source.id, &ids(&answer.items)).await?;
            Ok(Some(people.into_iter().map(|person| person.id).collect()))
        }
        Step::List | Step::Detail => {
            let (flagged, there): (Vec<_>, Vec<_>) = answer.items.iter().partition(|item| item.is_deleted);
            let shows = call.step == shows_at(call, deleted);
            resume::share_sight(conn, call.source.id).await?;
            resume::set_hidden(conn, call.source.id, &ids(flagged), true).await?;
            if shows {
                resume::set_hidden(conn, call.source.id, &ids(there), false).await?;
            }
            Ok(None)
        }
        Step::Parents | Step::Attachment | Step::Known => Ok(None),
    }
}

pub(crate) fn ids<'a>(items: impl IntoIterator<Item = &'a NewDocument>) -> Vec<&'a str> {
    items.into_iter().filter_map(|item| item.external_id.as_deref()).collect()
}

/// The step whose items are there. Where they may be flagged, that is only known when they are read in full.
fn shows_at(call: &Call, deleted: &Deleted) -> Step {
    if deleted.flag.is_some() { call.source.definition.last_step() } else { Step::List }
}
