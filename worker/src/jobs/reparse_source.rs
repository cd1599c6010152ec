use std::collections::HashMap;

use apalis::prelude::Data;
use resume_core::{collection, db, jobs::ReparseSource, raw, resume, source};
use resume_queue::{JobError, Lease, enqueue_all};

use super::parse_documents::{compiled, parse_all};
use crate::context::Context;

/// Documents parsed in one transaction.
const STEP: i64 = 500;

/// Parses the next documents of a source that an older parser or an older map made, and enqueues itself for those behind them.
/// Resumes, failures, counts, the next job and the own completion are one transaction.
///
/// Running twice does no harm: what is stored is of the present version, and is not found again. A map that changes on the
/// way begins the walk anew, also during the last step: whoever asks for that finds this job, and enqueues none.
#[tracing::instrument(name = "reparse_source", skip_all, fields(source = job.source))]
pub(crate) async fn run(
    job: ReparseSource,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let map = source::mapping(&context.pool, &job.source).await.map_err(JobError::retry)?;
    let of = (job.source.as_str(), map.version);
    let after = if job.map_version == map.version { job.after } else { Default::default() };
    let outdated = resume::outdated_after(&context.pool, of, after, STEP).await.map_err(JobError::retry)?;
    let documents = raw::load(&context.pool, &outdated.document_ids).await.map_err(JobError::retry)?;
    let place = |document: &raw::RawDocument| (document.id, (document.collection_id, document.page));
    let places: HashMap<_, _> = documents.iter().map(place).collect();
    let compiled = compiled(&map, &documents);
    let made = parse_all(documents, compiled).await;
    let (parsed, failed) = (made.0.len(), made.1.len());

    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let changes = resume::store_reparsed(&mut tx, of, &places, made).await.map_err(JobError::retry)?;
    collection::count_reparsed(&mut tx, &changes).await.map_err(JobError::retry)?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    // Behind the completion, which gives back the unique key that the next job takes. Who asks from now on has to wait for us.
    let present = source::mapping(&mut *tx, &job.source).await.map_err(JobError::retry)?.version;
    let next = outdated.next.or((present != map.version).then(Default::default));
    if let Some(after) = next {
        let next = ReparseSource { source: job.source.clone(), map_version: map.version, after };
        let next = next.new_job().map_err(JobError::retry)?;
        enqueue_all(&mut tx, &[next]).await.map_err(JobError::retry)?;
    }
    tx.commit().await.map_err(JobError::retry)?;
    tracing::info!(source = job.source, parsed, failed, "parsed again");
    Ok(())
}
