//! One file a command.

mod api;
mod collect;
#[cfg(feature = "mock")]
mod demo;
mod erase;
mod import;
mod jobs;
mod openapi;
mod psql;
mod queues;
mod schedules;
mod search;
mod sources;
mod status;
mod stored;
mod up;
mod worker;
mod workers;

use anyhow::Result;

use crate::{
    database::{self, Database},
    options::{Command, Options},
    output::say,
};

/// Runs the command that was asked for.
pub(crate) async fn run(Options { database: place, command }: Options) -> Result<()> {
    match command {
        #[cfg(feature = "mock")]
        Command::Demo(options) => demo::run(&place, options).await,
        Command::Up(options) => up::run(&place, options).await,
        Command::Api(options) => api::run(&place, options).await,
        Command::Worker(options) => worker::run(&place, options).await,
        Command::Migrate => {
            let database = Database::open(&place, database::NAME).await?;
            say!("up to date: {}", database.describe());
            database.close().await;
            Ok(())
        }
        Command::Openapi => {
            openapi::run();
            Ok(())
        }
        Command::Collect(options) => collect::run(options).await,
        Command::Import(options) => import::run(options).await,
        Command::Status(options) => status::run(options).await,
        Command::Continue(options) => collect::continue_collection(options).await,
        Command::Pause(options) => status::pause(options).await,
        Command::Cancel(options) => status::cancel(options).await,
        Command::Calls(options) => stored::calls(options).await,
        Command::Documents(options) => stored::documents(options).await,
        Command::Raw(options) => stored::raw(options).await,
        Command::Resumes(options) => stored::resumes(options).await,
        Command::ConfirmHiding(options) => status::confirm_hiding(options).await,
        Command::Search(options) => search::run(options).await,
        Command::Erase(options) => erase::run(options).await,
        Command::Sources(command) => sources::run(command).await,
        Command::Schedules(command) => schedules::run(command).await,
        Command::Jobs(command) => jobs::run(command).await,
        Command::Queues(command) => queues::run(command).await,
        Command::Workers(options) => workers::run(options).await,
        Command::Psql(options) => psql::run(&place, options).await,
    }
}
