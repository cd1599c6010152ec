//! The whole pipeline: a worker in this process, a mock source on a port, Postgres.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod attachments;
mod backpressure;
mod codes;
mod crashes;
mod deleted_people;
mod documents;
mod erasure;
mod fleet;
mod harness;
mod imports;
mod known_people;
mod limits;
mod moving_lists;
mod next_links;
mod outcome;
mod pages;
mod plain;
mod reparse;
mod retention;
mod retries;
mod shared_tokens;
mod shares;
mod shipped_sources;
mod source_faults;
mod source_faults_answers;
mod source_faults_ends;
mod source_faults_random;
mod starts;
mod steps;
mod stops;
mod tokens;
