//! `resume-service`: collects resumes from rate-limited systems, keeps the raw data, parses it and makes it
//! searchable, on nothing but Postgres.
//!
//! | place | what it holds |
//! | --- | --- |
//! | `options/` | the command line: every option, its environment variable and default |
//! | `database.rs` | the database to use: `DATABASE_URL`, or a private cluster |
//! | `erasure_key.rs` | reads the erasure key, or makes one for a private cluster |
//! | `service.rs` | API and worker as tasks of this process |
//! | `mock.rs` | the mock system that `up` and `demo` serve beside the API |
//! | `client/` | the calls that the commands make to a running API |
//! | `progress.rs` | watches a collection, with progress bars |
//! | `output.rs` | standard output, whether or not somebody reads it |
//! | `table.rs` | prints lists |
//! | `shutdown.rs` | SIGINT and SIGTERM |
//! | `commands/` | one file a command |

mod client;
mod commands;
mod database;
mod erasure_key;
#[cfg(feature = "mock")]
mod mock;
mod options;
mod output;
mod progress;
mod service;
mod shutdown;
mod table;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::options::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    // The demo talks for itself; its log would tear the progress bars.
    let default_filter = match options.command {
        #[cfg(feature = "mock")]
        options::Command::Demo(_) => "error",
        _ => "info,sqlx=error",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter)))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    // Fails when a provider is installed already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(commands::run(options));
    // A handler that hangs must not keep the process alive.
    runtime.shutdown_background();
    result
}

fn report(error: &anyhow::Error) {
    // The status tells it too, where nobody reads.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}
