use anyhow::Result;

use crate::{client::Client, options::StatusOptions, output::say, progress};

pub(crate) async fn run(options: StatusOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    match options.id {
        Some(id) => {
            let status = client.status(&id).await?;
            say!("collection {} from {}", status.data_request_id, status.source);
            say!("{}", progress::line(&status));
            progress::print_errors(&status);
        }
        None => {
            for listed in client.latest().await? {
                say!(
                    "{}  {:<22} {:<16} {:>8} resumes  {}",
                    listed.data_request_id,
                    listed.state,
                    listed.source,
                    listed.count,
                    listed.created_at
                );
            }
        }
    }
    Ok(())
}
