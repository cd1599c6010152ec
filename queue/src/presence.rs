//! The connection that stands for the life of the process.
//!
//! It holds an advisory lock on the worker's id, which Postgres drops when the process dies, listens for
//! notifications, and stands for election. Everything else may use a pooled connection; this one needs a
//! session of its own.

use std::{sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgListener, PgNotification, PgPoolOptions},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{claim::hand_back_unknown, control::stop, leader, schedules, session::Shared};

/// The high half of the advisory lock's key: "resu" in ASCII. The low half is the worker's id. The view
/// `queue.presences` has both.
pub(crate) const LOCK_CLASS: i64 = 0x7265_7375;

/// How long to wait for an answer of the connection. One that was cut in silence would else be deaf for
/// hours.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How often to try for the lock while an older session of this process still has it, as after a cut network.
const LOCK_RETRY: Duration = Duration::from_millis(500);

/// The longest pause between two tries to connect. Well under the time after which others take the worker for
/// dead.
const RECONNECT_MAX: Duration = Duration::from_millis(250);

/// How often the claimers look by themselves while no notification can come.
const DEAF_LOOK: Duration = Duration::from_secs(5);

/// Adds this process to `queue.workers`.
pub(crate) async fn register(conn: &mut PgConnection, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("insert into queue.workers (name) values ($1) returning id", name)
        .fetch_one(conn)
        .await
}

/// Notes that the process left in good order and holds nothing, and hands back what it holds without knowing;
/// resigns, if it leads. There are no heartbeats after it.
pub(crate) async fn sign_off(shared: &Shared) -> Result<(), sqlx::Error> {
    let mut signed_off = shared.signed_off.lock().await;
    let mut conn = shared.connection().await?;
    let mut tx = conn.begin().await?;
    hand_back_unknown(&mut tx, shared.worker_id, &[]).await?;
    sqlx::query!("update queue.workers set stopped_at = now() where id = $1", shared.worker_id)
        .execute(&mut *tx)
        .await?;
    leader::resign(&mut *tx, shared.worker_id).await?;
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
            shared.term.send_replace(None);
            tracing::warn!(%error, "the worker's session was lost, reconnecting");
            presence = reconnect(&shared).await;
            shared.present.send_replace(true);
        }
    }))
}

async fn reconnect(shared: &Shared) -> Presence {
    let mut pause = Duration::from_millis(20);
    let mut looked = Instant::now();
    loop {
        match Presence::connect(shared).await {
            Ok(presence) => return presence,
            Err(error) => {
                tracing::debug!(%error, "no connection for the worker's session yet");
                if looked.elapsed() >= DEAF_LOOK {
                    looked = Instant::now();
                    shared.held.wake_all_claimers();
                }
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
    next_check: Instant,
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
        listener.listen_all(["queue", stop::CHANNEL, leader::CHANNEL, schedules::CHANNEL]).await?;
        let key = LOCK_CLASS << 32 | shared.worker_id;
        let mut presence = Self { listener, key, locked: false, next_check: Instant::now() };
        presence.check(shared).await?;
        Ok(presence)
    }

    /// Passes notifications on until the connection ends.
    async fn keep(&mut self, shared: &Arc<Shared>) -> sqlx::Error {
        let mut stopping = shared.stopping.subscribe();
        loop {
            tokio::select! {
                received = self.listener.try_recv() => match received {
                    Ok(Some(notification)) => self.pass_on(shared, &notification),
                    Ok(None) => return sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => return error,
                },
                // A leader that stops says so at once.
                Ok(()) = stopping.changed() => self.next_check = Instant::now(),
                () = tokio::time::sleep_until(self.next_check) => {
                    match timeout(ANSWER_MAX, self.check(shared)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return error,
                        Err(_) => return sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()),
                    }
                }
            }
        }
    }

    fn pass_on(&mut self, shared: &Arc<Shared>, notification: &PgNotification) {
        match notification.channel() {
            leader::CHANNEL => self.next_check = Instant::now(),
            stop::CHANNEL if notification.payload() == shared.worker_id.to_string() => {
                stop::stop_asked_soon(shared);
            }
            stop::CHANNEL => {}
            schedules::CHANNEL => shared.schedules_changed.notify_one(),
            _ => shared.held.wake_claimers_of(notification.payload()),
        }
    }

    /// Asks for the lock, if it is not held yet, and for who leads. The answer also shows that the connection
    /// lives.
    async fn check(&mut self, shared: &Shared) -> Result<(), sqlx::Error> {
        if !self.locked {
            self.locked = sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "locked!""#, self.key)
                .fetch_one(&mut self.listener)
                .await?;
        }
        let pause = leader::stand(&mut self.listener, shared).await?;
        self.next_check = Instant::now() + if self.locked { pause } else { pause.min(LOCK_RETRY) };
        Ok(())
    }
}
