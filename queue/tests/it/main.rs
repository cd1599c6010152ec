//! Tests of the queue against real servers and real processes.
//!
//! No test sleeps to let something happen: each waits for a condition, with a deadline that a slow machine
//! meets.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stderr, reason = "measured figures are printed")]

mod support;

mod apalis_pins;
mod claim;
mod clock;
mod control;
mod crash;
mod enqueue;
mod fence;
mod history;
mod leader;
mod leases;
mod limits;
mod maintenance;
mod model;
mod network;
mod outages;
mod outcomes;
mod races;
mod schedule;
mod schedules;
mod sessions;
mod shares;
mod shutdown;
mod ticks;
mod unique;
