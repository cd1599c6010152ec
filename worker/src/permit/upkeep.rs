use std::time::Duration;

use resume_core::{
    call_limit,
    db::{self, PgPool},
};

/// How often the partitions of the ledger are looked after. There are those of a week ahead.
const EVERY: Duration = Duration::from_secs(3600);

/// Looks after the ledger's partitions for as long as the task lives. All processes do; one at a time.
pub(super) async fn run(pool: PgPool) {
    loop {
        if let Err(error) = keep(&pool).await {
            tracing::warn!(%error, "the ledger of calls was not looked after; trying again in an hour");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn keep(pool: &PgPool) -> Result<(), db::Error> {
    let mut conn = pool.acquire().await?;
    let dropped = call_limit::keep_ledger(&mut conn).await?;
    if dropped > 0 {
        tracing::info!(dropped, "dropped the ledger of days long past");
    }
    Ok(())
}
