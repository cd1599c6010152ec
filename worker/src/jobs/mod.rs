//! What each job does: one file a job, one function `run`. `fetch_attachment.rs` is what `fetch_page.rs` does for a page that is an
//! attachment.

pub(crate) mod continue_collection;
mod fetch_attachment;
pub(crate) mod fetch_page;
pub(crate) mod finish_collection;
pub(crate) mod parse_documents;
pub(crate) mod reparse_source;
pub(crate) mod settle_discarded;
pub(crate) mod start_collection;
pub(crate) mod stop_collection;
