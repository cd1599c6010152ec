//! Stops a worker before and after every SQL statement that it sends, and checks what the others make of it.
//!
//! The kit stands between a worker process and the server, as a proxy that reads the wire protocol. A run in
//! which nothing happens tells which statements a [`Scenario`] consists of. Then there is one run for each
//! [`Point`], each on a database of its own: the worker is killed, or its connection is cut, at that point;
//! whoever is left finishes the work; and the result must be that of the run in which nothing happened.
//!
//! Nothing in the queue or in a handler knows of it. A new statement is a new point by itself.
//!
//! | place | what it holds |
//! | --- | --- |
//! | [`Scenario`], [`Invariant`] | what is run, and what must be true at its end: the part to write for other handlers |
//! | [`CrashKit`], [`Report`] | runs a scenario at every point, several at a time |
//! | `point.rs` | [`Point`]: which statement, before or after it, and what happens there |
//! | `trial.rs` | one run: a database, the worker behind the proxy, the helper that finishes, the checks |
//! | `ending.rs` | how a run ended, and how it must not differ from the undisturbed one |
//! | `process.rs` | a worker process: started, asked to stop, killed |
//! | `proxy/` | the proxy, and the names it gives to statements |
//! | [`scenarios`] | what the project itself is put through |
//!
//! The README of this package shows how to run it over handlers of your own.

mod ending;
mod kit;
mod point;
mod process;
mod proxy;
mod report;
mod scenario;
pub mod scenarios;
mod sql;
mod trial;

pub use kit::CrashKit;
pub use point::{Blow, Moment, Point, Statement};
pub use report::{Report, Verdict};
pub use scenario::{DATABASE_URL, DIRECT_URL, Invariant, Scenario};
