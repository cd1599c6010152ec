//! The connection that stands for the life of the process.
//!
//! It holds an advisory lock on the worker's id, which Postgres drops when the process dies, and listens for
//! notifications. Everything else may use a pooled connection; this one needs a session of its own.

use std::{sync::Arc, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::task::JoinHandle;

use crate::{completer::RECONNECT_MAX, session::Shared};

/// The high half of the advisory lock's key: "resu" in ASCII. The low half is the worker's id.
pub(crate) const LOCK_CLASS: i64 = 0x7265_7375;

/// Adds this process to `queue.workers`.
pub(crate) async fn register(pool: &PgPool, name: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!("insert into queue.workers (name) values ($1) returning id", name).fetch_one(pool).await
}

/// Notes that the process left in good order and holds nothing.
pub(crate) async fn sign_off(pool: &PgPool, worker_id: i64) -> Result<(), sqlx::Error> {
    sqlx::query!("update queue.workers set stopped_at = now() where id = $1", worker_id).execute(pool).await?;
    Ok(())
}

/// Takes the presence lock, then keeps it and listens for as long as the task lives, over any outage.
pub(crate) async fn hold(shared: Arc<Shared>) -> Result<JoinHandle<()>, sqlx::Error> {
    let mut listener = connect(&shared).await?;
    Ok(tokio::spawn(async move {
        loop {
            // Notifications may have been missed while there was no connection.
            shared.held.wake_claimers();
            let error = listen(&shared, &mut listener).await;
            if let Some(error) = error {
                tracing::warn!(%error, "the worker's session was lost, reconnecting");
            }
            listener = reconnect(&shared).await;
        }
    }))
}

/// Passes notifications on until the connection ends.
async fn listen(shared: &Shared, listener: &mut PgListener) -> Option<sqlx::Error> {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => shared.held.wake_claimer(notification.payload()),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

async fn reconnect(shared: &Shared) -> PgListener {
    let mut pause = Duration::from_millis(50);
    loop {
        match connect(shared).await {
            Ok(listener) => return listener,
            Err(error) => {
                tracing::debug!(%error, "no connection for the worker's session yet");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RECONNECT_MAX);
            }
        }
    }
}

async fn connect(shared: &Shared) -> Result<PgListener, sqlx::Error> {
    // A pool of one, outside the shared pool: the listener never gives its connection back.
    let options = shared.pool.connect_options();
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(options.as_ref().clone().application_name(&shared.settings.name));
    let mut listener = PgListener::connect_with(&own).await?;
    // A connection that it made anew by itself would be without the lock.
    listener.eager_reconnect(false);
    // After an outage the server may still keep the old session for a moment: then this waits for its end.
    sqlx::query!("select pg_advisory_lock($1)", LOCK_CLASS << 32 | shared.worker_id).execute(&mut listener).await?;
    listener.listen("queue").await?;
    Ok(listener)
}
