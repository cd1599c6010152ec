use anyhow::{Result, bail};

use crate::{client::Client, options::EraseOptions, output::say};

/// Erases a person, or lifts an erasure.
pub(crate) async fn run(options: EraseOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    let (source, external_id) = (options.source.as_deref(), options.external_id.as_deref());
    let erased = match (options.resume, source, external_id, options.lift) {
        (Some(id), None, None, false) => client.erase_resume(id).await?,
        (None, Some(source), Some(id), false) => client.erase_person(source, id).await?,
        (None, Some(source), Some(id), true) => {
            client.lift_erasure(source, id).await?;
            say!("the next collection that lists them stores them again");
            return Ok(());
        }
        _ => bail!(
            "name the person: --resume ID, or --source NAME --external-id ID; --lift goes with the latter"
        ),
    };
    say!(
        "erased: {} documents, {} attachments, {} calls; the next collection does not bring them back",
        erased.documents,
        erased.attachments,
        erased.calls
    );
    Ok(())
}
