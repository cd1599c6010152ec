use std::collections::BTreeMap;

use resume_queue::Discarded;
use sqlx::PgConnection;
use uuid::Uuid;

use super::store::{self, At, NewResume};
use crate::{
    document::{self, NewParseFailure},
    progress::{
        self,
        counts::{self, Counts},
    },
};

/// The code of a document whose parser ended without a verdict: it panicked, or its job used its attempts up.
pub const PARSER_CRASHED: &str = "parser_crashed";

/// The codes of documents and calls whose jobs did not fail, but were ended by somebody.
const BY_REQUEST: [&str; 2] = ["cancelled_by_request", "discarded_by_request"];

/// The code of a job that did not fail, but was ended by somebody.
pub fn by_request(discarded: &Discarded) -> Option<&'static str> {
    BY_REQUEST.into_iter().find(|code| discarded.code.as_deref() == Some(code))
}

/// The result of parsing some documents.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Documents that became resumes.
    pub parsed: Vec<NewResume>,
    /// Documents that did not.
    pub failed: Vec<NewParseFailure>,
}

/// How storing an outcome ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is stored.
    Stored,
    /// The source's map has changed since the documents were read: roll back, and parse them again.
    MapChanged,
    /// Somebody else has settled some of the batches, erased one of their people, or stored another document
    /// of one at the same time: roll back, and look again.
    Gone,
}

/// Stores the result of parsing batches of a collection, with this version of the source's map, and ends
/// their wait. In the caller's transaction, which should also complete the job.
///
/// Locks the batches, then the resumes in the order of their people; where documents had failed before,
/// collections that are over.
///
/// # Errors
/// The database's; roll back.
pub async fn settle(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Uuid,
    batches: &[i64],
    map_version: i32,
    outcome: &Outcome,
) -> Result<Settled, sqlx::Error> {
    let taken = document::take(conn, collection_id, batches).await?;
    let is_held = |id| taken.batches.iter().any(|batch| batch.holds(id));
    let mut documents = outcome
        .parsed
        .iter()
        .map(|new| new.document_id)
        .chain(outcome.failed.iter().map(|new| new.document_id));
    if taken.batches.len() != batches.len() || !documents.all(is_held) {
        return Ok(Settled::Gone);
    }
    let at = match store::store(conn, source_id, Some(collection_id), map_version, &outcome.parsed).await {
        Err(error) if store::is_contention(&error) => return Ok(Settled::Gone),
        stored => stored?,
    };
    if at.map_version != map_version {
        return Ok(Settled::MapChanged);
    }
    document::store_failures(conn, collection_id, map_version, &outcome.failed).await?;
    if may_have_failed_before(&at, outcome) {
        withdraw(conn, Some(collection_id), &outcome.parsed).await?;
    }
    let change = Counts {
        parsed: outcome.parsed.len() as i64,
        failed: outcome.failed.len() as i64,
        given_up: -taken.given_up,
        ..Counts::default()
    };
    counts::add(conn, collection_id, change).await?;
    if at.is_over {
        progress::conclude_again(conn, collection_id).await?;
    }
    Ok(Settled::Stored)
}

/// Whether a document that was parsed may be listed as failed: it is of an earlier run, or its collection was
/// continued.
fn may_have_failed_before(at: &At, outcome: &Outcome) -> bool {
    at.run > 1 || outcome.parsed.iter().any(|new| new.document_id < at.first_document_id)
}

/// Lists documents as failed no longer in the collections that had: there they count as parsed now. In
/// `counted` they are counted as parsed by the caller.
pub(super) async fn withdraw(
    conn: &mut PgConnection,
    counted: Option<Uuid>,
    parsed: &[NewResume],
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = parsed.iter().map(|new| new.document_id).collect();
    let mut listed: BTreeMap<Uuid, i64> = BTreeMap::new();
    for id in document::withdraw_failures(conn, &ids).await? {
        *listed.entry(id).or_default() += 1;
    }
    for (id, documents) in listed {
        if Some(id) == counted {
            // The documents were taken up again, and are counted by the caller.
            counts::add(conn, id, Counts { failed: -documents, retried: documents, ..Counts::default() })
                .await?;
        } else {
            counts::add(conn, id, Counts { failed: -documents, parsed: documents, ..Counts::default() })
                .await?;
            progress::conclude_again(conn, id).await?;
        }
    }
    Ok(())
}
