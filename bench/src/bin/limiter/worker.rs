//! A worker process of the service.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use resume_core::{
    collection::BACKLOG_MAX,
    db::{self, Role},
};
use resume_worker::{Retention, Settings};

#[derive(Debug, Clone, Args)]
pub(crate) struct Work {
    #[arg(long)]
    url: String,
}

/// Works until it is killed.
pub(crate) async fn work(work: &Work) -> Result<()> {
    let settings = Settings {
        parse_delay: Duration::ZERO,
        backlog_max: BACKLOG_MAX,
        retention: Retention::default(),
        secrets_dir: std::env::temp_dir(),
        erasure_key: None,
        grace: Duration::ZERO,
    };
    resume_worker::run(db::pool(&work.url, Role::Worker)?, settings, std::future::pending()).await
}
