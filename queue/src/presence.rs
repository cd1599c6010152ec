//! The connection that stands for the life of the process.
//!
//! It holds an advisory lock on the worker's id, which Postgres drops when the process dies, and listens for
//! notifications. Everything else may use a pooled connection; this one needs a session of its own.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{claim::hand_back_unknown, control::stop, session::Shared};

/// The high half of the advisory lock's key: "resu" in ASCII. The low half is the worker's id.
pub(crate) const LOCK_CLASS: i64 = 0x7265_7375;

/// How often to see whether the connection still lives, and how long to wait for the answer. A connection that was cut
/// in silence would else be deaf for hours.
const CHECK: Duration = Duration::from_secs(5);

/// How often to try for the lock while an older session of this process still has it, as after a cut network.
const LOCK_RETRY: Duration = Duration::from_millis(500);

/// The longest pause between two tries to connect. Well under the time after which others take the worker for dead.
const RECONNECT_MAX: Duration = Duration::from_millis(250);

/// Adds this process to `queue.workers`.
pub(crate) async fn register(pool: &PgPool, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("insert into queue.workers (name) values ($1) returning id", name)
        .fetch_one(pool)
        .await
}

/// Notes that the process left in good order and holds nothing, and hands back what it holds without knowing. There are
/// no heartbeats after it.
pub(crate) async fn sign_off(shared: &Shared) -> Result<(), sqlx::Error> {
    let mut signed_off = shared.signed_off.lock().await;
    let mut conn = shared.connection().await?;
    let mut tx = conn.begin().await?;
    hand_back_unknown(&mut tx, shared.worker_id, &[]).await?;
    sqlx::query!("update queue.workers set stopped_at = now() where id = $1", shared.worker_id)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    *signed_off = true;
    Ok(())
}

/// Takes the presence lock, then keeps it and listens for as long as the task lives, over any outage.
pub(crate) async fn hold(shared: Arc<Shared>) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut presence = Presence::connect(&shared).await?;
    shared.present.send_replace(true);
    Ok(tokio::spawn(async move {
        loop {
            // Notifications may have been missed while there was no connection.
            shared.held.wake_all_claimers();
            stop::stop_asked_soon(&shared);
            let error = presence.keep(&shared).await;
            shared.present.send_replace(false);
            tracing::warn!(%error, "the worker's session was lost, reconnecting");
            presence = reconnect(&shared).await;
            shared.present.send_replace(true);
        }
    }))
}

async fn reconnect(shared: &Shared) -> Presence {
    let mut pause = Duration::from_millis(20);
    loop {
        match Presence::connect(shared).await {
            Ok(presence) => return presence,
            Err(error) => {
                tracing::debug!(%error, "no connection for the worker's session yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_MAX);
            }
        }
    }
}

struct Presence {
    listener: PgListener,
    key: i64,
    /// False while an older session of this process has the lock: that one stands for the process then.
    locked: bool,
}

impl Presence {
    async fn connect(shared: &Shared) -> Result<Self, sqlx::Error> {
        // A pool of one, outside the shared pool: the listener never gives its connection back.
        let options = shared.pool.connect_options();
        let own = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(2))
            .connect_lazy_with(options.as_ref().clone().application_name(&shared.settings.name));
        let mut listener = PgListener::connect_with(&own).await?;
        // A connection that it made anew by itself would be without the lock.
        listener.eager_reconnect(false);
        listener.listen_all(["queue", stop::CHANNEL]).await?;
        let mut presence = Self { listener, key: LOCK_CLASS << 32 | shared.worker_id, locked: false };
        presence.check().await?;
        Ok(presence)
    }

    /// Passes notifications on until the connection ends.
    async fn keep(&mut self, shared: &Arc<Shared>) -> sqlx::Error {
        let mut next_check = self.next_check();
        loop {
            tokio::select! {
                received = self.listener.try_recv() => match received {
                    Ok(Some(notification)) if notification.channel() == stop::CHANNEL => {
                        if notification.payload() == shared.worker_id.to_string() {
                            stop::stop_asked_soon(shared);
                        }
                    }
                    Ok(Some(notification)) => shared.held.wake_claimers_of(notification.payload()),
                    Ok(None) => return sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => return error,
                },
                () = tokio::time::sleep_until(next_check) => {
                    match timeout(CHECK, self.check()).await {
                        Ok(Ok(())) => next_check = self.next_check(),
                        Ok(Err(error)) => return error,
                        Err(_) => return sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
                    }
                }
            }
        }
    }

    fn next_check(&self) -> Instant {
        Instant::now() + if self.locked { CHECK } else { LOCK_RETRY }
    }

    /// Asks the server for anything; for the lock, if it is not held yet.
    async fn check(&mut self) -> Result<(), sqlx::Error> {
        self.locked = sqlx::query_scalar!(
            r#"select case when $1 then true else pg_try_advisory_lock($2) end as "locked!""#,
            self.locked,
            self.key
        )
        .fetch_one(&mut self.listener)
        .await?;
        Ok(())
    }
}
