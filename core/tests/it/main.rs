//! Collections, raw documents, resumes and search, on a database for each test.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod attachments;
mod backlog;
mod call_limit;
mod collection_end;
mod completeness;
mod connections;
mod fail;
mod fixture;
mod imports;
mod incremental;
mod map_versions;
mod migrate;
mod migrate_backlog;
mod migrate_counts;
mod migrate_doubts;
mod migrate_sources;
mod overlapping_runs;
mod ownership;
mod parse_failures;
mod progress;
mod progress_numbers;
mod raw_documents;
mod raw_documents_at_once;
mod resume_collection;
mod resume_documents;
mod resumes;
mod retried_jobs;
mod search;
mod search_plans;
mod sql_text;
mod start;
mod steps;
mod stop_collection;
mod store_page;
mod unknown_end;
