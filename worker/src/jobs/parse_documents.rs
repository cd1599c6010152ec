use std::{panic::catch_unwind, sync::Arc, thread::available_parallelism};

use apalis::prelude::Data;
use resume_core::{
    collection::{self, BatchResult},
    db,
    jobs::ParseDocuments,
    parsing::{CompiledMapping, Format, ParseError, ParsedResume, parse, parse_mapped},
    raw::{self, RawDocument},
    resume::{self, NewParseFailure, NewResume, PARSER_CRASHED},
    source::{self, VersionedMap},
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
    let map = source::mapping(&context.pool, &source).await.map_err(JobError::retry)?;
    let mapping = compiled(&map, &documents);
    let (parsed, failed) = parse_all(documents, mapping).await;
    let result = BatchResult { parsed: parsed.len(), failed: failed.len() };
    let parsed_ids: Vec<i64> = parsed.iter().map(|resume| resume.raw_document_id).collect();

    let mut tx = db::begin(&context.pool).await.map_err(JobError::retry)?;
    let (of, place) = ((source.as_str(), map.version), (job.collection_id, job.page));
    resume::store_parsed(&mut tx, of, parsed).await.map_err(JobError::retry)?;
    resume::store_failures(&mut tx, of, place, &failed).await.map_err(JobError::retry)?;
    let was_given_up = collection::settle_batch(&mut tx, &job, result).await.map_err(JobError::retry)?;
    if was_given_up || job.pass > 0 {
        resume::withdraw_failures(&mut tx, &parsed_ids).await.map_err(JobError::retry)?;
    }
    lease.complete_in(&mut tx).await.map_err(JobError::retry)?;
    tx.commit().await.map_err(JobError::retry)
}

/// The map of the source ready for use, if the documents need one. Without it they fail, each with `missing_mapping`.
pub(super) fn compiled(map: &VersionedMap, documents: &[RawDocument]) -> Option<Arc<CompiledMapping>> {
    let is_needed = documents.iter().any(|document| document.format == Format::Mapped);
    let map = map.map.as_ref().filter(|_| is_needed)?;
    // It was checked when the source was added.
    CompiledMapping::new(map).ok().map(Arc::new)
}

/// Parses on the threads for blocking work, on as many as there are cores. The mapping is that of the source, if it has one.
pub(super) async fn parse_all(
    mut documents: Vec<RawDocument>,
    mapping: Option<Arc<CompiledMapping>>,
) -> (Vec<NewResume>, Vec<NewParseFailure>) {
    let cores = available_parallelism().map_or(1, usize::from);
    let share = documents.len().div_ceil(cores).max(1);
    let mut shares = JoinSet::new();
    while !documents.is_empty() {
        let rest = documents.split_off(share.min(documents.len()));
        let share = std::mem::replace(&mut documents, rest);
        let mapping = mapping.clone();
        shares.spawn_blocking(move || {
            share.iter().map(|document| parse_one(document, mapping.as_deref())).collect::<Vec<_>>()
        });
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

fn parse_one(
    document: &RawDocument,
    mapping: Option<&CompiledMapping>,
) -> Result<NewResume, NewParseFailure> {
    let raw_document_id = document.id;
    // The parser is a pure function of the bytes: a panic leaves nothing half-changed behind.
    match catch_unwind(|| parse_as_stored(document, mapping)) {
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

fn parse_as_stored(
    document: &RawDocument,
    mapping: Option<&CompiledMapping>,
) -> Result<ParsedResume, ParseError> {
    match (document.format, mapping) {
        (Format::Mapped, Some(mapping)) => {
            parse_mapped(mapping, document.external_id.as_deref(), &document.body)
        }
        (format, _) => parse(format, &document.body),
    }
}
