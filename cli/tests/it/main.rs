//! The binary as a user has it: real processes, real Postgres, real HTTP.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its scene fails")]

mod commands;
mod control;
mod crash;
mod demo;
mod imports;
mod mock;
mod scene;
mod schedules;
mod sources;
mod up;
