use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SecretsOptions, ServiceOptions};

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// Lists the sources.
    List(ListSourcesOptions),
    /// Shows the definition of a source.
    Show(SourceOptions),
    /// Adds the source that a file defines, or changes the one of its name.
    Add(AddSourceOptions),
    /// Removes a source: no collection of it starts any more. What it brought stays.
    Remove(SourceOptions),
    /// Checks a file: whether it defines a source, and, with one call of each kind that it describes, whether
    /// the source answers as it says.
    Check(CheckSourceOptions),
    /// Shows how many calls a source got in a period, the last hour by default, and what holds now.
    Calls(SourceCallsOptions),
    /// Holds the calls to a source back, until `sources release`.
    Hold(SourceOptions),
    /// Lets a source be called again that is held, whose calls failed, or that has asked for silence.
    Release(SourceOptions),
    /// Parses again what an older parser, or the map before it was changed, made of a source; without a call.
    Reparse(SourceOptions),
    /// Prints the JSON Schema of definitions, for editors.
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct ListSourcesOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
}

#[derive(Debug, Args)]
pub(crate) struct SourceOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the source.
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct SourceCallsOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The name of the source.
    pub(crate) name: String,
    /// The beginning of the period, such as 2026-11-24T00:00:00Z; by default an hour before its end.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// The end of the period; by default now.
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Prints a statement as CSV instead: for each limit whether it was kept.
    #[arg(long)]
    pub(crate) statement: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddSourceOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The definition, as YAML or JSON.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Collects from the mock of that system, which `up` serves, instead: needs no account and no secret.
    #[cfg(feature = "mock")]
    #[arg(long)]
    pub(crate) mock: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckSourceOptions {
    /// The definition, as YAML or JSON.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) secrets: SecretsOptions,
    /// Makes no call.
    #[arg(long)]
    pub(crate) offline: bool,
}
