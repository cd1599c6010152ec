use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ServiceOptions;

#[derive(Debug, Clone, Args)]
pub(crate) struct ErasureOptions {
    /// The file with the key that tells later who was erased: 32 random bytes or more, the same for every api
    /// and worker. Without it nobody can be erased; a private database has its own [default: erasure.key in
    /// the data directory of a private database].
    #[arg(long, env = "RESUME_ERASURE_KEY_FILE", value_name = "FILE")]
    pub(crate) erasure_key_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct EraseOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The id of the person's resume.
    #[arg(long, value_name = "ID", conflicts_with_all = ["source", "external_id", "lift"])]
    pub(crate) resume: Option<i64>,
    /// The source that knows the person.
    #[arg(long, value_name = "NAME", requires = "external_id")]
    pub(crate) source: Option<String>,
    /// The id that the source gave them.
    #[arg(long, value_name = "ID", requires = "source")]
    pub(crate) external_id: Option<String>,
    /// Lifts the erasure instead: the next collection that lists the person stores them again.
    #[arg(long)]
    pub(crate) lift: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ResumesCommand {
    /// Prints all that is held about one person, as JSON.
    ExportPerson(PersonOptions),
}

#[derive(Debug, Args)]
pub(crate) struct PersonOptions {
    #[command(flatten)]
    pub(crate) service: ServiceOptions,
    /// The source that knows the person.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: String,
    /// The id that the source gave them.
    #[arg(long, value_name = "ID")]
    pub(crate) external_id: String,
}
