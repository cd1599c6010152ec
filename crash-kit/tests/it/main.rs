//! The kit at work: a part of the points of the project's own scenarios, and handlers of somebody else.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stderr, reason = "the verdicts are shown when a test fails")]

mod invoices;
mod own_handlers;
mod readme;
mod scenarios;
