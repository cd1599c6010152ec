use anyhow::{Result, bail};

use crate::{
    client::Client,
    options::{CollectOptions, ContinueOptions},
    output::say,
    progress, shutdown,
};

pub(crate) async fn run(options: CollectOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    let id = client.trigger(&options.to_request()).await?;
    say!("collection {id}");
    wait(&client, &id).await
}

pub(crate) async fn continue_collection(options: ContinueOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    client.continue_collection(&options.id, &options.what).await?;
    wait(&client, &options.id).await
}

/// Fails when the collection did, so that scripts notice. Single documents that failed are told, and are no
/// failure.
async fn wait(client: &Client, id: &str) -> Result<()> {
    let status = tokio::select! {
        status = progress::watch(client, id) => status?,
        () = shutdown::signalled() => {
            say!("collection {id} goes on without you: `resume-service status {id}`, `resume-service cancel {id}`");
            std::process::exit(130);
        }
    };
    progress::print_errors(&status);
    if status.state == "failed" || status.pages.failed > 0 {
        bail!("pages could not be fetched; try them again with `resume-service continue {id}`");
    }
    Ok(())
}
