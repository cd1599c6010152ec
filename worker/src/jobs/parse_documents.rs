use std::{panic::catch_unwind, thread::available_parallelism};

use apalis::prelude::Data;
use resume_core::{
    collection::{self, BatchResult},
    db,
    jobs::ParseDocuments,
    parsing::parse,
    raw::{self, RawDocument},
    resume::{self, NewParseFailure, NewResume, PARSER_CRASHED},
};
use resume_queue::{JobError, Lease};
use tokio::task::JoinSet;

use crate::context::Context;

/// Parses a batch of raw documents into resumes; a document that does not parse is listed as failed and harms no other.
/// The resumes, the failures, the count on the page and the job's own completion are one transaction.
///
/// Running twice does no harm: the fence lets one attempt commit, and an older parse never overwrites a newer one. A job that
/// was given up and retried turns its documents from failed into what they are.
#[tracing::instrument(name = "parse_documents", skip_all, fields(collection = %job.collection_id, page = job.page))]
pub(crate) async fn run(
    job: ParseDocuments,
    lease: Data<Lease>,
    context: Data<Context>,
) -> Result<(), JobError> {
    let documents = raw::load(&context.pool, &job.document_ids).await.map_err(JobError::retry)?;
    let source = documents.first().map(|document| document.source.clone()).unwrap_or_default();
    if !context.parse_delay.is_zero() {
        // The documents of a batch are parsed side by side, so a slow parser delays the batch once.
        tokio::time::sleep(context.parse_delay).await;
    }
    let (parsed, failed) = parse_all(documents).await;
    let result = BatchResult { parsed: parsed.len(), failed: failed.len() };
    let parsed_ids: Vec<i64> = parsed.iter().map(|resume| resume.raw_document_id).collect();

    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    resume::store_parsed(&mut tx, &source, parsed).await.map_err(JobError::retry)?;
    resume::store_failures(&mut tx, job.collection_id, job.page, &failed).await.map_err(JobError::retry)?;
    let was_given_up = collection::settle_batch(&mut tx, &job, result).await.map_err(JobError::retry)?;
    if was_given_up {
        resume::withdraw_failures(&mut tx, &parsed_ids).await.map_err(JobError::retry)?;
    }
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}

/// Parses on the threads for blocking work, on as many as there are cores.
async fn parse_all(mut documents: Vec<RawDocument>) -> (Vec<NewResume>, Vec<NewParseFailure>) {
    let cores = available_parallelism().map_or(1, usize::from);
    let share = documents.len().div_ceil(cores).max(1);
    let mut shares = JoinSet::new();
    while !documents.is_empty() {
        let rest = documents.split_off(share.min(documents.len()));
        let share = std::mem::replace(&mut documents, rest);
        shares.spawn_blocking(move || share.iter().map(parse_one).collect::<Vec<_>>());
    }
    let mut parsed = Vec::new();
    let mut failed = Vec::new();
    for result in shares.join_all().await.into_iter().flatten() {
        match result {
            Ok(resume) => parsed.push(resume),
            Err(failure) => failed.push(failure),
        }
    }
    (parsed, failed)
}

fn parse_one(document: &RawDocument) -> Result<NewResume, NewParseFailure> {
    let raw_document_id = document.id;
    // The parser is a pure function of the bytes: a panic leaves nothing half-changed behind.
    match catch_unwind(|| parse(document.format, &document.body)) {
        Ok(Ok(parsed)) => Ok(NewResume { raw_document_id, parsed }),
        Ok(Err(error)) => Err(NewParseFailure {
            raw_document_id,
            code: error.code.as_str(),
            pointer: error.pointer,
            detail: error.detail,
        }),
        Err(_) => {
            tracing::error!(raw_document_id, "the parser panicked");
            Err(NewParseFailure {
                raw_document_id,
                code: PARSER_CRASHED,
                pointer: String::new(),
                detail: "the parser panicked".to_owned(),
            })
        }
    }
}
