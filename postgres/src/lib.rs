//! A private Postgres cluster from the programs on the machine, and a database per test.
//!
//! Without a `DATABASE_URL` the service runs on a cluster of its own. [`Cluster::start`] starts it or joins
//! the one that another process runs in the same place; the last process to leave stops it.
//!
//! | module | responsibility |
//! | --- | --- |
//! | `programs` | find `initdb`, `pg_ctl` and `postgres`, 14 or later |
//! | `download` | fetch them once when the machine has none (feature `download`) |
//! | `root` | where the data lies, and whether a path can serve |
//! | `owner` | the user the server runs as, which is never root |
//! | `command` | run one of the programs and show what it said when it fails |
//! | `ping` | ask a server, in its own protocol, whether it takes connections |
//! | `postmaster` | what `postmaster.pid` is worth |
//! | `server` | make, start and stop the server of one directory |
//! | `cluster` | the locks that let processes share a server |
//! | `testing` | a database per test (feature `testing`) |
//!
//! On disk, below the root: `pg15/` (mode 0700, one per major version) holds `data/`, the socket directory
//! `s/`, `server.log`, the output of the last run of each program, and two lock files:
//!
//! * `gate.lock`, exclusive: one process at a time makes, starts or stops the server.
//! * `users.lock`, shared: held by every process for as long as it uses the server.
//!
//! Both are `flock` locks, which the kernel drops when their holder dies in whatever way.

mod cluster;
mod command;
#[cfg(feature = "download")]
mod download;
mod owner;
mod ping;
mod postmaster;
mod programs;
mod root;
mod server;
#[cfg(feature = "testing")]
pub mod testing;

pub use cluster::{Cluster, RestartMode};
pub use programs::Programs;
pub use root::default_root;
pub use server::Durability;
