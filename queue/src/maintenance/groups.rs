use std::time::Duration;

use sqlx::PgConnection;

use super::{BATCHES_MAX, Pass, Service};
use crate::{
    GroupId,
    group::{OpenGroup, finish_groups, open_groups_after},
};

/// How often to look. As a rule the worker that ended the last job of a group has finished it.
const PASS: Duration = Duration::from_secs(2);

/// How many open groups a pass looks at: some ten milliseconds. The next pass looks at the next ones.
const WINDOW: i64 = 10_000;

/// The most groups finished by one statement.
const BATCH_MAX: usize = 1_000;

/// Finishes what a worker that died after the end of a last job left open, what a rescue ended, and groups
/// that never had a job. Looks at open groups only, 10,000 at a time.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The last group that was looked at; 0 at the begin of a round.
    after: GroupId,
}

impl Service for Groups {
    const NAME: &'static str = "groups";
    const RUN_MAX: Duration = BATCHES_MAX;
    const RETRY: Duration = PASS;

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        Ok(Pass { affected: self.pass(conn, WINDOW).await?, next: PASS })
    }
}

impl Groups {
    /// Looks at the next open groups, at most so many; gives how many it finished.
    pub(crate) async fn pass(&mut self, conn: &mut PgConnection, window: i64) -> Result<u64, sqlx::Error> {
        let seen = open_groups_after(conn, self.after, window).await?;
        let is_full = seen.len() as i64 == window;
        // Also when a group cannot be finished: those behind it can.
        self.after = seen.last().map(|group| group.id).filter(|_| is_full).unwrap_or(0);
        let ended: Vec<GroupId> = seen.into_iter().filter_map(OpenGroup::ended).collect();
        let mut finished = 0;
        for batch in ended.chunks(BATCH_MAX) {
            finished += finish_groups(conn, batch).await?.len() as u64;
        }
        Ok(finished)
    }
}
