use std::{sync::Arc, time::Duration};

use apalis::prelude::Data;
use resume_core::{db, jobs::ReparseSource, resume, source};
use resume_queue::{JobError, Lease, enqueue_all};

use super::parse_documents::parse_all;
use super::retry;
use crate::{context::Context, readers::Reader};

/// How long to wait for parses that are under way with an earlier map.
const SETTLING: Duration = Duration::from_millis(200);

/// Parses the next documents of a source that an older parser or an older map made, and enqueues itself for
/// those behind them. Resumes, failures, counts, the next job and the own completion are one transaction.
///
/// Begins when all parses that may have read the map before its last change have ended, so that it misses
/// none of them. Running twice does no harm: what is stored is of the present version, and is not found
/// again. A map that changes on the way begins the walk anew, also during the last step: whoever asks for
/// that finds this job, and enqueues none.
#[tracing::instrument(name = "reparse_source", skip_all, fields(source = job.source))]
pub(crate) async fn run(
    job: ReparseSource,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let map = source::mapping(&context.pool, &job.source).await.map_err(retry)?;
    let Some(map) = map else { return Ok(()) };
    if !source::has_settled(&context.pool, &job.source).await.map_err(retry)? {
        return Err(JobError::Snooze(SETTLING));
    }
    let after = if job.map_version == map.version { job.after_person } else { None };
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    let step = resume::reparse_next(&mut tx, &context.pool, map.source_id, map.version, after);
    let step = step.await.map_err(retry)?;
    let outcome = parse_all(&Arc::new(step.documents), &Arc::new(Reader::of(&map))).await;
    resume::store_reparsed(&mut tx, map.source_id, map.version, &outcome).await.map_err(retry)?;
    lease.complete_in(&mut tx).await.map_err(retry)?;
    // Behind the completion, which gives back the unique key that the next job takes. Who asks from now on
    // has to wait for us.
    let present = source::mapping(&mut *tx, &job.source).await.map_err(retry)?;
    let has_changed = present.is_some_and(|present| present.version != map.version);
    if step.next.is_some() || has_changed {
        let next =
            ReparseSource { source: job.source.clone(), map_version: map.version, after_person: step.next };
        let next = next.new_job().map_err(retry)?;
        enqueue_all(&mut tx, &[next]).await.map_err(retry)?;
    }
    tx.commit().await.map_err(retry)?;
    let (parsed, failed) = (outcome.parsed.len(), outcome.failed.len());
    tracing::info!(source = job.source, parsed, failed, "parsed again");
    Ok(())
}
