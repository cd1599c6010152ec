//! Stops the test cluster when nobody has used it for a while.
//!
//! nextest runs each test in a process of its own. If the last process out stopped the server, tests that do
//! not overlap would start it again and again; if nobody did, a CI machine would be left with it. And no
//! process of ours can stay to wait, for the test runner would wait for that one.
//!
//! So a session of the server itself does it. Whoever finds none opens a connection, sends it the loop below
//! and goes away; the backend runs on, because it notices a lost client only when it has something to say.
//! The loop asks whether it could have the users' lock exclusively, and when that was so for the whole time,
//! it keeps the lock and has the postmaster stop. Who comes in that very moment waits for the lock, fails
//! with the server, and starts it again.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::sql::{CLASS, Lock, connect, execute, is_true};

/// How long the test cluster outlives its last user. A start takes 0.2 s, so this only has to cover the
/// pauses within a test run.
pub(super) const LINGER: Duration = Duration::from_secs(30);

/// How long a watcher may take to appear, on a machine that runs many tests at once.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often to look for it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Makes sure that the cluster has a watcher, which stops it `linger` after its last use.
///
/// `session` holds the users' lock, and `url` leads to the same database.
pub(super) async fn ensure_watched(
    session: &mut PgConnection,
    url: String,
    linger: Duration,
) -> sqlx::Result<()> {
    if is_watched(session).await? {
        return Ok(());
    }
    let mut watcher = connect(url).await?;
    let begun = Instant::now();
    let seen = async {
        while !is_watched(session).await? && begun.elapsed() < START_TIMEOUT {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    };
    tokio::select! {
        // Ends when it has lost the race to another watcher.
        ended = execute(&mut watcher, watch(linger)) => ended,
        seen = seen => seen,
    }
}

async fn is_watched(session: &mut PgConnection) -> sqlx::Result<bool> {
    let watcher = Lock::Watcher as i32;
    // The two-key form of an advisory lock has objsubid 2.
    is_true(
        session,
        format!(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 \
             AND classid = {CLASS} AND objid = {watcher} AND granted)"
        ),
    )
    .await
}

/// The loop of the watcher. A backend works in the data directory, where it finds the number of the
/// postmaster.
fn watch(linger: Duration) -> String {
    let (watcher, users) = (Lock::Watcher.keys(), Lock::Users.keys());
    let linger_ms = linger.as_millis();
    format!(
        "DO $watch$
        DECLARE
            used_at timestamptz := clock_timestamp();
        BEGIN
            IF NOT pg_try_advisory_lock({watcher}) THEN
                RETURN;
            END IF;
            LOOP
                IF NOT pg_try_advisory_lock({users}) THEN
                    used_at := clock_timestamp();
                ELSIF clock_timestamp() - used_at > interval '{linger_ms} milliseconds' THEN
                    COPY (SELECT) TO PROGRAM
                        'cat >/dev/null; read pid rest <postmaster.pid; kill -s INT \"$pid\"';
                    -- Keeps the lock: whoever waits for it must not believe in this server.
                    PERFORM pg_sleep(3600);
                ELSE
                    PERFORM pg_advisory_unlock({users});
                END IF;
                -- Ends the transaction, or its snapshot would hold back vacuum.
                COMMIT;
                PERFORM pg_sleep(0.5);
            END LOOP;
        END
        $watch$"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sqlx::Connection as _;

    use super::*;
    use crate::testing::{own::OwnCluster, sql::texts};

    #[tokio::test]
    async fn the_cluster_stops_when_its_last_user_has_gone_however_that_one_went() -> anyhow::Result<()> {
        let own = OwnCluster::start().await?;
        let url = own.cluster().url("postgres");
        let mut users = Vec::new();
        for _ in 0..2 {
            let mut user = connect(url.clone()).await?;
            execute(&mut user, format!("SELECT pg_advisory_lock_shared({})", Lock::Users.keys())).await?;
            ensure_watched(&mut user, url.clone(), Duration::from_millis(100)).await?;
            users.push(user);
        }
        let watchers = "SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'DO $watch$%'";
        assert!(is_true(&mut users[1], watchers.to_owned()).await?);

        users.remove(0).close().await?;
        // Each look of the watcher is a transaction of its own: it has had several, each longer than the
        // cluster may linger.
        let looks = format!(
            "SELECT virtualtransaction FROM pg_locks WHERE classid = {CLASS} AND objid = {}",
            Lock::Watcher as i32
        );
        let mut seen = HashSet::new();
        while seen.len() < 4 {
            seen.extend(texts(&mut users[0], looks.clone()).await?);
        }
        assert!(!own.cluster().ensure_running()?, "the other user is still there");

        // Without a word, as in a process that is killed.
        drop(users);
        let begun = Instant::now();
        while own.cluster().postmaster_pid().is_some() {
            assert!(begun.elapsed() < Duration::from_secs(30), "the cluster does not stop");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        Ok(())
    }
}
