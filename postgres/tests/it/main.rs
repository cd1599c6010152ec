//! Tests against real servers and real processes.

#![expect(clippy::unwrap_used, reason = "where a test cannot go on, it fails")]

mod crashes;
mod databases;
mod errors;
mod other_process;
mod scratch;
mod sharing;
