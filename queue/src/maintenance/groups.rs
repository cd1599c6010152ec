use std::time::Duration;

use sqlx::PgConnection;

use super::{BATCHES_MAX, Pass, Service};
use crate::{group::finish_groups, session::Shared};

/// How often to look. As a rule the worker that ended the last job of a group has finished it.
const PASS: Duration = Duration::from_secs(2);

/// The most groups finished by one statement.
const BATCH_MAX: i64 = 1_000;

/// Finishes what a worker that died after the end of a last job left open, what a rescue ended, and groups that never had a
/// job. Looks at open groups only.
#[derive(Debug)]
pub(crate) struct Groups;

impl Service for Groups {
    const NAME: &'static str = "groups";
    const RUN_MAX: Duration = BATCHES_MAX;
    const RETRY: Duration = PASS;

    async fn run(&mut self, _: &Shared, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        let mut affected = 0;
        let mut after = 0;
        loop {
            let ended = ended(conn, after).await?;
            let Some(last) = ended.last() else { return Ok(Pass { affected, next: PASS }) };
            after = *last;
            affected += finish_groups(conn, &ended).await?.len() as u64;
        }
    }
}

/// Open groups without a live job, those after `after` in the order of their ids.
pub(crate) async fn ended(conn: &mut PgConnection, after: i64) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select g.id from queue.groups g
        where g.finished_at is null and g.id > $1
          and not exists (select from queue.live_jobs j where j.group_id = g.id)
        order by g.id limit $2
        "#,
        after,
        BATCH_MAX,
    )
    .fetch_all(conn)
    .await
}
