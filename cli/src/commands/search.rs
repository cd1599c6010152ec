use anyhow::Result;

use crate::{client::Client, options::SearchOptions, table};

pub(crate) async fn run(options: SearchOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    let matching = if options.all { "all" } else { "any" };
    let found = client.search(&options.skills.join(","), matching, options.limit).await?;
    table::print(&found);
    Ok(())
}
