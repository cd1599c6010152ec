use anyhow::bail;
use apalis::prelude::Data;
use resume_core::{
    call, collection,
    db::{self, PgConnection},
    jobs::{FinishCollection, MakeCall, ParseDocuments, SettleDiscarded},
};
use resume_queue::{Discarded, Job, JobError, Lease, end_stands};

use super::retry;
use crate::context::Context;

/// Closes in its collection what a discarded job left open: the call, or the documents, are given up, or the
/// run ends as it stands. The job's own completion is part of it.
///
/// Running twice does no harm. A job that was retried in the meantime is left alone: it closes what it leaves
/// open by itself.
pub(crate) async fn run(
    job: SettleDiscarded,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(retry)?;
    if end_stands(&mut tx, job.0.job_id).await.map_err(retry)? {
        give_up(&mut tx, &job).await.map_err(retry)?;
    }
    lease.complete_in(&mut tx).await.map_err(retry)?;
    tx.commit().await.map_err(retry)
}

async fn give_up(
    conn: &mut PgConnection,
    SettleDiscarded(discarded): &SettleDiscarded,
) -> anyhow::Result<()> {
    let args = discarded.args.clone();
    match discarded.kind.as_str() {
        MakeCall::KIND => match serde_json::from_value::<MakeCall>(args) {
            Ok(job) => call::give_up(conn, &job, discarded).await?,
            Err(error) => left_open(discarded, &error),
        },
        ParseDocuments::KIND => match serde_json::from_value::<ParseDocuments>(args) {
            Ok(job) => collection::give_up_documents(conn, &job, discarded).await?,
            Err(error) => left_open(discarded, &error),
        },
        FinishCollection::KIND => match serde_json::from_value::<FinishCollection>(args) {
            Ok(job) => collection::finish_unjudged(conn, &job, discarded).await?,
            Err(error) => {
                let job = discarded.job_id;
                tracing::error!(job, %error, "a run does not end, because its end cannot be read: cancel its collection");
            }
        },
        other => bail!("nothing is known about settling a discarded {other} job"),
    }
    Ok(())
}

/// Nobody can tell what the job was about: the end of the run lists calls and documents as lost.
fn left_open(discarded: &Discarded, error: &serde_json::Error) {
    tracing::warn!(
        job = discarded.job_id,
        kind = discarded.kind,
        %error,
        "the payload of a discarded job cannot be read: the end of its run settles what it leaves open"
    );
}
