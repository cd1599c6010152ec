mod jobs;
mod keep;
mod people;
mod queues;
mod schedules;
mod sources;
mod stored;

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use resume_core::collection::BACKLOG_MAX;

use crate::database::NAME;

pub(crate) use jobs::{ChangeJobsOptions, JobFilterOptions, JobOptions, JobsCommand, ListJobsOptions};
pub(crate) use keep::Keep;
pub(crate) use people::{EraseOptions, ErasureOptions, ResumesCommand};
pub(crate) use queues::{DemandOptions, LimitQueueOptions, QueuesCommand};
pub(crate) use schedules::{PutScheduleOptions, ScheduleOptions, SchedulesCommand};
pub(crate) use sources::{AddSourceOptions, CheckSourceOptions, SourcesCommand};
pub(crate) use stored::{CallsOptions, DocumentsOptions, RawOptions, ResumesOptions};

/// Collects resumes from rate-limited systems, keeps the raw data, parses it and makes it searchable, on
/// nothing but Postgres.
#[derive(Debug, Parser)]
#[command(name = "resume-service", version, propagate_version = true)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) database: DatabaseOptions,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which database to use.
#[derive(Debug, Clone, Args)]
pub(crate) struct DatabaseOptions {
    /// The database to use. Without it a private Postgres is started, from the programs on this machine.
    #[arg(long, env, global = true, hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// Where the private Postgres keeps its data [default: the platform's state directory].
    #[arg(long = "data-dir", env = "RESUME_DATA_DIR", global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the whole service: collects 200 resumes from a mock system, searches them, and leaves.
    #[cfg(feature = "mock")]
    Demo(DemoOptions),
    /// Runs everything in one process: database, API, worker, and the mock system to collect from.
    Up(UpOptions),
    /// Serves the HTTP API.
    Api(ApiOptions),
    /// Runs background jobs. Start as many of these, on as many machines, as you like.
    Worker(WorkerOptions),
    /// Brings the schema of the database up to date. The other commands do so too when they start.
    Migrate,
    /// Prints the OpenAPI document, as YAML.
    Openapi,
    /// Collects resumes through a running service and waits for the end.
    Collect(CollectOptions),
    /// Imports files with items through a running service and waits for the end: JSON, NDJSON and CSV, a
    /// collection for each.
    Import(ImportOptions),
    /// Shows how far a collection is, or lists the latest ones.
    Status(StatusOptions),
    /// Continues a collection that was paused, was cancelled or has failed calls, from its checkpoint, and
    /// waits for the end.
    Continue(ContinueOptions),
    /// Pauses a collection: no further page is fetched until `continue`; calls already waiting for a
    /// rate-limit slot still go out.
    Pause(StopOptions),
    /// Cancels a collection: it is over at once. What is stored stays, and `continue` goes on from there.
    Cancel(StopOptions),
    /// Lists the calls of a collection, and what became of each.
    Calls(CallsOptions),
    /// Lists the documents of a collection, and what became of each.
    Documents(DocumentsOptions),
    /// Prints a raw document, byte for byte.
    Raw(RawOptions),
    /// Lists resumes, or exports what is held about one person.
    Resumes(ResumesOptions),
    /// Confirms that a collection may hide as many people as its source no longer lists.
    ConfirmHiding(StopOptions),
    /// Searches resumes by skill through a running service.
    Search(SearchOptions),
    /// Erases a person through a running service: deletes what is held about them, and sees to it that they
    /// do not come back.
    Erase(EraseOptions),
    /// Looks at sources, checks, adds and removes them: the systems to collect from.
    #[command(subcommand)]
    Sources(SourcesCommand),
    /// Looks at schedules and changes them, through a running service: collections by the clock.
    #[command(subcommand)]
    Schedules(SchedulesCommand),
    /// Looks at background jobs and changes them, through a running service.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Looks at queues, pauses and limits them, through a running service.
    #[command(subcommand)]
    Queues(QueuesCommand),
    /// Lists the processes that run jobs, and tells which one leads.
    Workers(WorkersOptions),
    /// Opens psql on the database; with words behind it passes them to psql: `psql -- -c 'select 1'`.
    Psql(PsqlOptions),
}

#[derive(Debug, Args)]
pub(crate) struct BindOptions {
    /// The address to serve the API on.
    #[arg(long, env = "RESUME_BIND", default_value = "127.0.0.1:8000", value_name = "ADDRESS")]
    pub(crate) bind: SocketAddr,
}

#[derive(Debug, Args)]
pub(crate) struct SecretsOptions {
    /// Where the files are that definitions of sources may name for secrets, as `file:/run/secrets/lever`.
    #[arg(long, env = "RESUME_SECRETS_DIR", default_value = "/run/secrets", value_name = "DIR")]
    pub(crate) secrets_dir: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// Lets those who check a definition over HTTP have private networks and this machine called, where the
    /// definition asks for it.
    #[arg(long, env = "RESUME_CHECK_PRIVATE_NETWORKS")]
    pub(crate) check_private_networks: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkOptions {
    /// Makes the parsing of every document slower by this much, as the slow parser of old was: `2s`, `500ms`.
    #[arg(long, env = "RESUME_PARSE_DELAY", default_value = "0s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) parse_delay: Duration,
    /// How many documents of a source may wait to be parsed before no further page is fetched.
    #[arg(long, env = "RESUME_MAX_BACKLOG", default_value_t = BACKLOG_MAX, value_name = "N")]
    pub(crate) max_backlog: u32,
    #[command(flatten)]
    pub(crate) secrets: SecretsOptions,
    #[command(flatten)]
    pub(crate) erasure: ErasureOptions,
    /// How long the calls of a collection are kept after its end, a day at least: `30days`, `forever`. Its
    /// counts and the codes of its errors stay.
    #[arg(long, env = "RESUME_KEEP_CALLS", default_value = "30days", value_name = "TIME")]
    pub(crate) keep_calls: Keep,
    /// How long a raw document is kept after a later one of the same person took its place, a day at least:
    /// `1year`, `forever`. No sooner than the calls of the collection that brought it.
    #[arg(long, env = "RESUME_KEEP_SUPERSEDED", default_value = "forever", value_name = "TIME")]
    pub(crate) keep_superseded: Keep,
    /// How long running jobs may go on after a stop was asked for; then they go back to the queue.
    #[arg(long, env = "RESUME_GRACE", default_value = "10s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub(crate) grace: Duration,
}

#[cfg(feature = "mock")]
#[derive(Debug, Args)]
pub(crate) struct DemoOptions {
    #[command(flatten)]
    pub(crate) bind: BindOptions,
    #[command(flatten)]
    pub(crate) work: WorkOptions,
    /// Stays up afterwards, until Ctrl-C.
    #[arg(long)]
    pub(crate) keep: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) bind: BindOptions,
    #[command(flatten)]
    pub(crate) check: CheckOptions,
    #[command(flatten)]
    pub(crate) work: WorkOptions,
}

#[derive(Debug, Args)]
pub(crate) struct ApiOptions {
    #[command(flatten)]
    pub(crate) bind: BindOptions,
    #[command(flatten)]
    pub(crate) check: CheckOptions,
    #[command(flatten)]
    pub(crate) secrets: SecretsOptions,
    #[command(flatten)]
    pub(crate) erasure: ErasureOptions,
    /// Serves the mock system too, and adds it to the sources.
    #[cfg(feature = "mock")]
    #[arg(long, env = "RESUME_TEST_DATA")]
    pub(crate) test_data: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerOptions {
    #[command(flatten)]
    pub(crate) work: WorkOptions,
    /// Serves /metrics, /healthz and /readyz of this worker there, such as 127.0.0.1:9464 [default: nowhere].
    #[arg(long, env = "RESUME_METRICS_BIND", value_name = "ADDRESS")]
    pub(crate) metrics_bind: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// The running service; by default where this machine would serve it, by `RESUME_BIND`.
    #[arg(long, env = "RESUME_URL", default_value_t = default_url(std::env::var("RESUME_BIND").ok()), value_name = "URL")]
    pub(crate) url: String,
}

/// Where a service that is bound there is reached on this machine.
fn default_url(bind: Option<String>) -> String {
    let bound = bind.and_then(|bind| bind.parse::<SocketAddr>().ok());
    let mut address = bound.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)));
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    format!("http://{address}")
}

#[derive(Debug, Args)]
pub(crate) struct CollectOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// Which source to collect from.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// How many resumes.
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Resumes on a page.
    #[arg(long, value_name = "N")]
    pub(crate) per_page: Option<u32>,
    /// Resumes parsed by one job.
    #[arg(long, value_name = "N")]
    pub(crate) batch_size: Option<u32>,
    /// Fetch everything, even if the source supports incremental runs.
    #[arg(long)]
    pub(crate) full: bool,
    /// Makes the mock system break about one resume in five.
    #[arg(long)]
    pub(crate) error_mode: bool,
    /// Which people the mock system makes up [default: new ones].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// Which source the items are of.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: String,
    /// Files, and folders, of which every file is taken that ends in .json, .ndjson, .jsonl or .csv, in the
    /// order of their names.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of a collection; without one the latest are listed.
    #[arg(conflicts_with_all = ["source", "state"])]
    pub(crate) id: Option<String>,
    /// Lists only those of this source.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Lists only those in one of these states, separated by commas: `running,paused`.
    #[arg(long, value_name = "STATES")]
    pub(crate) state: Option<String>,
    /// How many to list, at most 100.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct ContinueOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the collection.
    pub(crate) id: String,
    /// What to continue: failed calls and documents that nobody has parsed, only failed calls, all failed
    /// documents, or all.
    #[arg(long, default_value = "unfinished", value_parser = ["unfinished", "calls", "documents", "all"])]
    pub(crate) what: String,
}

#[derive(Debug, Args)]
pub(crate) struct StopOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the collection.
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct SearchOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The skills, separated by commas or spaces.
    #[arg(required = true, value_name = "SKILL")]
    pub(crate) skills: Vec<String>,
    /// Wants every skill, not just one.
    #[arg(long)]
    pub(crate) all: bool,
    /// How many resumes to show, at most 100.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct WorkersOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct PsqlOptions {
    /// Prints the command instead of running it.
    #[arg(long)]
    pub(crate) print: bool,
    /// Which database of the private Postgres: the demo has one of its own.
    #[arg(long, default_value = NAME, value_name = "NAME")]
    pub(crate) database: String,
    /// Passed to psql as they are.
    #[arg(last = true, value_name = "ARGUMENT")]
    pub(crate) arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn the_service_is_looked_for_where_it_is_bound() {
        for (bind, url) in [
            (None, "http://127.0.0.1:8000"),
            (Some("nonsense"), "http://127.0.0.1:8000"),
            (Some("127.0.0.1:8001"), "http://127.0.0.1:8001"),
            (Some("0.0.0.0:80"), "http://127.0.0.1:80"),
            (Some("[::]:8002"), "http://[::1]:8002"),
            (Some("10.1.2.3:8000"), "http://10.1.2.3:8000"),
        ] {
            assert_eq!(default_url(bind.map(str::to_owned)), url);
        }
    }

    /// Every environment variable that an option reads, by the command line's own account.
    fn variables(command: &clap::Command) -> Vec<String> {
        let own =
            command.get_arguments().filter_map(|a| a.get_env()).map(|v| v.to_string_lossy().into_owned());
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }

    #[test]
    fn the_example_environment_lists_every_variable() {
        let example = include_str!("../../../.env.example");
        for variable in variables(&Options::command()) {
            assert!(example.contains(&format!("{variable}=")), ".env.example does not list {variable}");
        }
    }
}
