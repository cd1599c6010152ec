use clap::Args;

use super::{ResumesCommand, ServiceOptions};

#[derive(Debug, Args)]
pub(crate) struct DocumentsOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the collection.
    pub(crate) id: String,
    /// Only those in this state.
    #[arg(long, value_parser = ["waiting", "parsed", "failed", "given_up"])]
    pub(crate) state: Option<String>,
    /// Only those that failed, or were given up, with this code.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// How many to show, at most 1000.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct CallsOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the collection.
    pub(crate) id: String,
    /// Only those in this state.
    #[arg(long, value_parser = ["pending", "done", "failed"])]
    pub(crate) state: Option<String>,
    /// Only those of this step.
    #[arg(long, value_parser = ["parents", "list", "detail", "attachment", "deleted", "known"])]
    pub(crate) step: Option<String>,
    /// Only those that went wrong with this code.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// How many to show, at most 1000.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RawOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The number of the document, as `documents` tells it.
    pub(crate) id: i64,
    /// Include hidden people.
    #[arg(long)]
    pub(crate) hidden: bool,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ResumesOptions {
    #[command(subcommand)]
    pub(crate) command: Option<ResumesCommand>,
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// Only those of this source.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Only that of the person whom the source knows by this id.
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: Option<String>,
    /// Only those whose latest document this collection has stored.
    #[arg(long, value_name = "ID")]
    pub(crate) collection: Option<String>,
    /// Those whom their sources no longer list, in place of the others.
    #[arg(long)]
    pub(crate) hidden: bool,
    /// How many to show, at most 100.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub(crate) limit: u32,
}
