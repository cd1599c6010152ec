use std::{panic::catch_unwind, sync::Arc, thread::available_parallelism, time::Duration};

use apalis::prelude::Data;
use resume_core::{
    db,
    document::{self, NewParseFailure, WaitingDocument},
    jobs::ParseDocuments,
    resume::{self, NewResume, Outcome, PARSER_CRASHED, Settled},
};
use resume_queue::{JobError, Lease};
use tokio::task::JoinSet;

use super::retry;
use crate::{context::Context, readers::Reader};

/// Parses batches of documents into resumes; a document that does not parse is listed as failed and harms no
/// other. The resumes, the failures, the end of the wait and the job's own completion are one transaction.
///
/// Running twice does no harm: the fence lets one attempt commit, and an older parse never overwrites a newer
/// one. A job that was given up and retried parses its documents after all.
#[tracing::instrument(name = "parse_documents", skip_all, fields(collection = %job.collection_id))]
pub(crate) async fn run(
    job: ParseDocuments,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let waiting = document::load_waiting(&context.pool, job.collection_id, &job.batches);
    let (batches, documents) = waiting.await.map_err(retry)?;
    if batches.is_empty() {
        // Another job has parsed them.
        return Ok(());
    }
    if !context.parse_delay.is_zero() {
        // The documents of a batch are parsed side by side, so a slow parser delays the batch once.
        tokio::time::sleep(context.parse_delay).await;
    }
    let documents = Arc::new(documents);
    loop {
        let reader = context.readers.of(&context.pool, job.collection_id).await;
        let Some(reader) = reader.map_err(retry)? else { return Ok(()) };
        let outcome = parse_all(&documents, &reader).await;
        let mut tx = db::begin(&context.pool).await.map_err(retry)?;
        let settled =
            resume::settle(&mut tx, reader.source_id, job.collection_id, &batches, reader.version, &outcome)
                .await;
        match settled.map_err(retry)? {
            Settled::Stored => {
                lease.complete_in(&mut tx).await.map_err(retry)?;
                return tx.commit().await.map_err(retry);
            }
            Settled::MapChanged => {
                tx.rollback().await.map_err(retry)?;
                context.readers.forget(job.collection_id);
            }
            // Another look tells what is left.
            Settled::Gone => return Err(JobError::Snooze(Duration::ZERO)),
        }
    }
}

/// Parses on the threads for blocking work, on as many as there are cores.
pub(super) async fn parse_all(documents: &Arc<Vec<WaitingDocument>>, reader: &Arc<Reader>) -> Outcome {
    let cores = available_parallelism().map_or(1, usize::from);
    let share = documents.len().div_ceil(cores).max(1);
    let mut shares = JoinSet::new();
    for from in (0..documents.len()).step_by(share) {
        let (documents, reader) = (documents.clone(), reader.clone());
        shares.spawn_blocking(move || {
            let share = documents.iter().skip(from).take(share);
            share.map(|document| parse_one(document, &reader)).collect::<Vec<_>>()
        });
    }
    let mut outcome = Outcome::default();
    for result in shares.join_all().await.into_iter().flatten() {
        match result {
            Ok(resume) => outcome.parsed.push(resume),
            Err(failure) => outcome.failed.push(failure),
        }
    }
    outcome
}

fn parse_one(document: &WaitingDocument, reader: &Reader) -> Result<NewResume, NewParseFailure> {
    let document_id = document.id;
    let failure = |code, pointer, detail| NewParseFailure { document_id, code, pointer, detail };
    // The parser is a pure function of the bytes: a panic leaves nothing half-changed behind.
    match catch_unwind(std::panic::AssertUnwindSafe(|| reader.read(document))) {
        Ok(Ok(parsed)) => Ok(NewResume {
            document_id,
            person_id: document.person_id,
            is_overtaken: document.overtaken_by.is_some(),
            parsed,
        }),
        Ok(Err(error)) => Err(failure(error.code.as_str(), error.pointer, error.detail)),
        Err(_) => {
            tracing::error!(document_id, "the parser panicked");
            Err(failure(PARSER_CRASHED, String::new(), "the parser panicked".to_owned()))
        }
    }
}
