use std::{sync::Arc, time::Duration};

use crate::{held::Stop, session::Shared};

/// The channel on which a worker hears that some of its jobs were asked to end; the payload is its id.
pub(crate) const CHANNEL: &str = "queue_stop";

/// The longest time between two tries to learn which jobs are meant.
const RETRY: Duration = Duration::from_millis(500);

/// Tells the handlers of this process whose jobs were asked to end, in a task of its own. Also after a lost
/// connection, when the notification may have been missed.
pub(crate) fn stop_asked_soon(shared: &Arc<Shared>) {
    let shared = shared.clone();
    tokio::spawn(async move {
        let stopped = shared.stopped();
        tokio::pin!(stopped);
        while let Err(error) = stop_asked(&shared).await {
            tracing::warn!(%error, "asking for jobs to stop failed, trying again");
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = &mut stopped => return,
            }
        }
    });
}

async fn stop_asked(shared: &Shared) -> Result<(), sqlx::Error> {
    // The job may have been claimed a moment ago, and the answer still be on its way: then it is not held
    // yet.
    drop(shared.claiming.write().await);
    let (held, _) = shared.held.ids_and_fences();
    let worker_id = shared.worker_id;
    let asked = shared
        .ask(async |conn| {
            sqlx::query!(
                r#"
                select id, fence from queue.live_jobs
                where id = any($1) and worker_id = $2 and state = 'running' and end_as is not null
                "#,
                &held,
                worker_id
            )
            .fetch_all(conn)
            .await
        })
        .await?;
    for job in asked {
        shared.held.stop(job.id, job.fence, Stop::Asked);
    }
    Ok(())
}
