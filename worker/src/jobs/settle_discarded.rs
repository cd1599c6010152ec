use anyhow::{Context as _, bail};
use apalis::prelude::Data;
use resume_core::{
    call, collection,
    db::{self, PgConnection},
    jobs::{FetchPage, ParseDocuments, SettleDiscarded},
};
use resume_queue::{Job, JobError, Lease, end_stands};

use super::retry;
use crate::context::Context;

/// Closes in its collection what a discarded job left open: the call, or the documents, are given up. The
/// job's own completion is part of it.
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
        FetchPage::KIND => {
            let job: FetchPage =
                serde_json::from_value(args).context("payload of the discarded fetch_page job")?;
            call::give_up(conn, &job, discarded).await?;
        }
        ParseDocuments::KIND => {
            let job: ParseDocuments =
                serde_json::from_value(args).context("payload of the discarded parse_documents job")?;
            collection::give_up_documents(conn, &job, discarded).await?;
        }
        other => bail!("nothing is known about settling a discarded {other} job"),
    }
    Ok(())
}
