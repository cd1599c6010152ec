use anyhow::Result;

use crate::{client::Client, options::ResumesCommand, output::say};

pub(crate) async fn run(command: ResumesCommand) -> Result<()> {
    match command {
        ResumesCommand::ExportPerson(options) => {
            let client = Client::new(&options.service.url)?;
            let exported = client.export_person(&options.source, &options.external_id).await?;
            say!("{}", serde_json::to_string_pretty(&exported)?);
        }
    }
    Ok(())
}
