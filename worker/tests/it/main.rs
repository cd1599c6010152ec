//! The whole pipeline: a worker in this process, a mock source on a port, Postgres.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod crashes;
mod documents;
mod harness;
mod limits;
mod next_links;
mod outcome;
mod pages;
mod plain;
mod retries;
mod starts;
