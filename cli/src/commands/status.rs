use anyhow::Result;

use crate::{
    client::{Client, Status},
    options::{StatusOptions, StopOptions},
    output::say,
    progress,
};

pub(crate) async fn run(options: StatusOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    match options.id {
        Some(id) => {
            show(&client.status(&id).await?);
        }
        None => {
            for listed in client.latest().await? {
                say!(
                    "{}  {:<22} {:<16} {:>8} resumes  {}",
                    listed.data_request_id,
                    listed.state,
                    listed.source,
                    listed.count.map_or_else(|| "all".to_owned(), |count| count.to_string()),
                    listed.created_at
                );
            }
        }
    }
    Ok(())
}

pub(crate) async fn pause(options: StopOptions) -> Result<()> {
    show(&Client::new(&options.service.url)?.stop(&options.id, "pause").await?);
    Ok(())
}

pub(crate) async fn cancel(options: StopOptions) -> Result<()> {
    show(&Client::new(&options.service.url)?.stop(&options.id, "cancel").await?);
    Ok(())
}

fn show(status: &Status) {
    say!("collection {} from {}", status.data_request_id, status.source);
    say!("{}", progress::line(status));
    progress::print_errors(status);
}
