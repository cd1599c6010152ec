//! What each job does: one file a job, one function `run`.

pub(crate) mod fetch_page;
pub(crate) mod finish_collection;
pub(crate) mod parse_documents;
pub(crate) mod reparse_source;
pub(crate) mod settle_discarded;
pub(crate) mod start_collection;
pub(crate) mod stop_collection;
