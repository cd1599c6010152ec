//! The domain: what is collected, kept, parsed and searched, and all SQL about it.
//!
//! | place | what it holds | its tables |
//! | --- | --- | --- |
//! | `db.rs` | connecting and migrating | |
//! | [`source`] | the systems we collect from, and their tokens | `sources`, `source_tokens` |
//! | [`call_limit`] | how many calls a source gets from the whole fleet, and the ledger of them | `call_limits`, `call_ledger` |
//! | [`collection`] | one run over a source: start, stop, continue, its end, its status | `collections` |
//! | [`progress`] | how far a collection is, as calls and documents change it: state, counts, errors | `collection_counts` |
//! | [`call`] | every request of a collection: which comes next, what is stored, what follows | `calls` |
//! | [`completeness`] | whether a run has seen all that its list holds; who is hidden | `doubts` |
//! | [`document`] | people, and every item as it came, with its state | `people`, `person_contents`, `raw_documents`, `batches`, `parse_failures` |
//! | [`attachment`] | the files that belong to documents | `attachments`, `document_attachments` |
//! | [`import`] | items out of files: JSON, NDJSON, CSV; pure | |
//! | [`parsing`] | pure functions from bytes to a parsed resume | |
//! | [`skill`] | skill names and their canonical keys | |
//! | [`resume`] | parsed resumes, and search | `resumes` |
//! | [`erasure`] | who was erased | `erased_people` |
//! | [`person`] | erasing and exporting all that is held about one person | |
//! | [`jobs`] | the payloads of the background jobs | (`resume-queue`'s) |
//!
//! Functions that change data take `&mut PgConnection`: the caller owns the transaction.
//!
//! How to add a table: a migration, SQL in one module here, a row above. How to add a job: a payload in
//! `jobs.rs`, what it does in `worker/src/jobs/`, one line in `worker/src/registry.rs`.

pub mod attachment;
pub mod call;
pub mod call_limit;
pub mod collection;
pub mod completeness;
pub mod db;
pub mod document;
pub mod erasure;
pub mod import;
pub mod jobs;
pub mod parsing;
pub mod person;
pub mod progress;
pub mod resume;
pub mod skill;
pub mod source;
