//! Collections, raw documents, resumes and search, on a database for each test.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod collection_end;
mod connections;
mod fail;
mod fixture;
mod migrate;
mod migrate_counts;
mod ownership;
mod parse_failures;
mod progress;
mod progress_numbers;
mod raw_documents;
mod raw_documents_at_once;
mod resume_collection;
mod resumes;
mod retried_jobs;
mod search;
mod search_plans;
mod sql_text;
mod start;
mod store_page;
