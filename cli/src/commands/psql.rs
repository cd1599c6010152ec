use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::{
    database::Database,
    options::{DatabaseOptions, PsqlOptions},
    output::say,
};

pub(crate) async fn run(place: &DatabaseOptions, options: PsqlOptions) -> Result<()> {
    let database = Database::connect(place, &options.database).await?;
    let result = open(&database, &options).await;
    database.close().await;
    result
}

async fn open(database: &Database, options: &PsqlOptions) -> Result<()> {
    if options.print {
        say!("psql '{}'", database.url);
        return Ok(());
    }
    let psql = database.cluster().and_then(|c| c.programs().psql()).unwrap_or_else(|| PathBuf::from("psql"));
    // Ctrl-C is for psql: it cancels a query there.
    let mut child =
        Command::new(&psql).arg(&database.url).args(&options.arguments).spawn().with_context(|| {
            format!("cannot run {}; `resume-service psql --print` shows the URL", psql.display())
        })?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    if !status.success() {
        bail!("psql ended with {status}");
    }
    Ok(())
}
