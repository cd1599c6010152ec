//! Groups: jobs that belong together, and a follow-up job that is enqueued when the last of them has ended.

use sqlx::PgConnection;

use crate::{EnqueueError, Job, JobId, NewJob, trace};

/// The number of a group, unique for ever within one database.
pub type GroupId = i64;

/// Creates a group with a follow-up, in the caller's transaction. Enqueue its first jobs with
/// [`NewJob::group`] in the same transaction, and later ones only from jobs of the group, in the transaction
/// that completes them, or after [`hold_group`]: the group has ended when it has no live job, and a group
/// without any ends at once.
///
/// When the last job has ended, however it did (completed, discarded or cancelled), the follow-up is
/// enqueued, exactly once: at once by the worker that ended it; within seconds, by the leader, when that
/// worker died in between or the job was ended by a rescue. (Where more than 10,000 groups are open, that
/// takes two seconds for each 10,000.) A follow-up that tells of a discarded job ([`Job::ON_DISCARD`])
/// belongs to the group of the discarded job.
///
/// # Errors
/// See [`EnqueueError`].
pub async fn create_group<J: Job>(conn: &mut PgConnection, follow_up: &J) -> Result<GroupId, EnqueueError> {
    let job = NewJob::new(follow_up)?;
    let id = sqlx::query_scalar!(
        r#"
        insert into queue.groups (kind, args, max_attempts, on_discard, traceparent)
        values ($1, $2::text::jsonb, $3, $4, $5) returning id
        "#,
        J::KIND,
        job.args(),
        i32::from(J::MAX_ATTEMPTS),
        J::ON_DISCARD,
        trace::current(),
    )
    .fetch_one(conn)
    .await?;
    Ok(id)
}

/// Whether a group has not finished, so that jobs may be added to it by others than its own. Until the
/// caller's transaction ends nobody finishes it: locks its row for share, after having waited for whoever is
/// finishing it.
///
/// # Errors
/// The database's.
pub async fn hold_group(conn: &mut PgConnection, id: GroupId) -> Result<bool, sqlx::Error> {
    let held = sqlx::query_scalar!(
        "select id from queue.groups where id = $1 and finished_at is null for share",
        id
    )
    .fetch_optional(conn)
    .await?;
    Ok(held.is_some())
}

/// Enqueues the follow-ups of those of the groups that have no live job left and were not finished before;
/// gives their ids. Each group is finished by one caller only, since the loser waits for the row and then
/// sees it finished.
///
/// Locks the groups that have ended, in the order of their ids. Call it after the commit that ended a job: of
/// two jobs that end at the same time each still sees the other one before.
pub(crate) async fn finish_groups(
    conn: &mut PgConnection,
    groups: &[GroupId],
) -> Result<Vec<JobId>, sqlx::Error> {
    // Of most groups, other jobs are left.
    let ended: Vec<GroupId> =
        open_groups(conn, groups).await?.into_iter().filter_map(OpenGroup::ended).collect();
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let follow_ups = sqlx::query_scalar!(r#"select queue.finish_groups($1) as "id!""#, &ended);
    follow_ups.fetch_all(conn).await
}

/// A group that was not finished.
#[derive(Debug)]
pub(crate) struct OpenGroup {
    pub(crate) id: GroupId,
    has_jobs: bool,
}

impl OpenGroup {
    /// Its id, if no live job is left of it.
    pub(crate) fn ended(self) -> Option<GroupId> {
        (!self.has_jobs).then_some(self.id)
    }
}

/// Those of the groups that were not finished.
async fn open_groups(conn: &mut PgConnection, groups: &[GroupId]) -> Result<Vec<OpenGroup>, sqlx::Error> {
    // The first job from a group's id on is one of the group, or it has none: one entry of an index for each
    // group, which no planner takes for more than a scan of all jobs.
    sqlx::query_as!(
        OpenGroup,
        r#"
        select g.id, g.id is not distinct from
                     (select j.group_id from queue.live_jobs j where j.group_id >= g.id order by j.group_id limit 1)
                     as "has_jobs!"
        from queue.groups g where g.id = any($1) and g.finished_at is null
        "#,
        groups,
    )
    .fetch_all(conn)
    .await
}

/// The next open groups after `after`, in the order of their ids, at most `limit`.
pub(crate) async fn open_groups_after(
    conn: &mut PgConnection,
    after: GroupId,
    limit: i64,
) -> Result<Vec<OpenGroup>, sqlx::Error> {
    sqlx::query_as!(
        OpenGroup,
        r#"
        with seen as materialized (
            select id from queue.groups where finished_at is null and id > $1 order by id limit $2
        )
        select g.id, g.id is not distinct from
                     (select j.group_id from queue.live_jobs j where j.group_id >= g.id order by j.group_id limit 1)
                     as "has_jobs!"
        from seen g order by g.id
        "#,
        after,
        limit,
    )
    .fetch_all(conn)
    .await
}

/// Deletes groups that were finished this long ago, at most `limit`, oldest first; gives their number.
pub(crate) async fn forget_groups(
    conn: &mut PgConnection,
    older_than_days: i32,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let done = sqlx::query!(
        r#"
        delete from queue.groups where id = any(array(
            select id from queue.groups
            where finished_at < now() - make_interval(days => $1)
            order by finished_at limit $2
        ))
        "#,
        older_than_days,
        limit
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
