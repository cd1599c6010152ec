//! The domain: what is collected, kept, parsed and searched, and all SQL about it.
//!
//! | place | what it holds | its tables |
//! | --- | --- | --- |
//! | `db.rs` | connecting and migrating | |
//! | [`source`] | the systems we collect from | `sources` |
//! | [`call_limit`] | how many calls a source gets from the whole fleet, and the ledger of them | `call_limits`, `call_ledger` |
//! | [`collection`] | one run over a source: trigger, pages and checkpoint, progress, resume | `collections`, `pages`, `page_items`, `doubts` |
//! | [`import`] | items out of files: JSON, NDJSON, CSV; pure | |
//! | [`raw`] | every item as it came | `raw_documents` |
//! | [`attachment`] | the files that belong to items | `attachments`, `document_attachments` |
//! | [`parsing`] | pure functions from bytes to a parsed resume | |
//! | [`skill`] | skill names and their canonical keys | |
//! | [`resume`] | parsed resumes, parse failures, search | `resumes`, `parse_failures` |
//! | [`jobs`] | the payloads of the background jobs | (`resume-queue`'s) |
//!
//! Functions that change data take `&mut PgConnection`: the caller owns the transaction.
//!
//! How to add a table: a migration, SQL in one module here, a row above. How to add a job: a payload in `jobs/`, what it
//! does in `worker/src/jobs/`, one line in `worker/src/registry.rs`.

pub mod attachment;
pub mod call_limit;
pub mod collection;
pub mod db;
pub mod import;
pub mod jobs;
pub mod parsing;
pub mod raw;
pub mod resume;
pub mod skill;
pub mod source;
