use anyhow::{Context as _, bail};
use apalis::prelude::Data;
use resume_core::{
    collection,
    db::{self, PgConnection},
    jobs::{FetchPage, ParseDocuments, SettleDiscarded},
};
use resume_queue::{Job, JobError, Lease};

use crate::context::Context;

/// Closes in its collection what a discarded job left open: the page is given up, or the documents are listed as
/// failed. The collection's end may be part of it, and the job's own completion is.
pub(crate) async fn run(
    job: SettleDiscarded,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    give_up(&mut tx, &job).await.map_err(JobError::retry)?;
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}

async fn give_up(
    conn: &mut PgConnection,
    SettleDiscarded(discarded): &SettleDiscarded,
) -> anyhow::Result<()> {
    let error = discarded.error.as_deref().unwrap_or("discarded without an error");
    let args = discarded.args.clone();
    match discarded.kind.as_str() {
        FetchPage::KIND => {
            let job: FetchPage =
                serde_json::from_value(args).context("payload of the discarded fetch_page job")?;
            collection::give_up_page(conn, &job, error).await?;
        }
        ParseDocuments::KIND => {
            let job: ParseDocuments =
                serde_json::from_value(args).context("payload of the discarded parse_documents job")?;
            collection::give_up_documents(conn, &job, error).await?;
        }
        other => bail!("nothing is known about settling a discarded {other} job"),
    }
    Ok(())
}
