use resume_queue::GroupId;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{jobs::FinishCollection, progress::CollectionState};

/// A collection that is locked until the end of the transaction.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) source: String,
    pub(super) state: CollectionState,
    pub(super) run: i32,
    pub(super) group: Option<GroupId>,
    pub(super) count: Option<i64>,
    pub(super) per_page: i32,
    batch_size: i32,
    pub(super) first_call_id: i64,
    pub(super) has_begun: bool,
    pub(super) is_cut: bool,
    /// Whether it asks for everything, and not for changes.
    pub(super) is_full: bool,
    /// Whether doubtful pages were read again in this run, or need not be.
    pub(super) has_read_again: bool,
    pub(super) calls_deleted: bool,
}

impl Held {
    pub(super) fn batch_size(&self) -> usize {
        usize::try_from(self.batch_size).unwrap_or(1)
    }

    /// Whether it is in the run that this job ends, and that run has not ended.
    pub(super) fn is_ended_by(&self, job: &FinishCollection) -> bool {
        self.run == job.run && !self.state.is_over()
    }
}

/// Locks the collection of this id, if there is one.
///
/// # Errors
/// The database's.
pub(super) async fn lock(conn: &mut PgConnection, id: Uuid) -> Result<Option<Held>, sqlx::Error> {
    sqlx::query_as!(
        Held,
        r#"
        select id, source, state as "state: CollectionState", run, group_id as "group", count, per_page, batch_size,
               coalesce(first_call_id, 0) as "first_call_id!", begun_at is not null as "has_begun!", is_cut,
               since is null as "is_full!", reread_in_run is not distinct from run as "has_read_again!",
               summary is not null as "calls_deleted!"
        from collections where id = $1 for update
        "#,
        id,
    )
    .fetch_optional(conn)
    .await
}
