use anyhow::Result;

use crate::{
    client::{Client, Listed, Status},
    options::{StatusOptions, StopOptions},
    output::say,
    progress,
    table::one_line,
};

pub(crate) async fn run(options: StatusOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    match &options.id {
        Some(id) => {
            show(&client.status(id).await?);
        }
        None => list(&client.latest(&options).await?),
    }
    Ok(())
}

/// One line each, which fits 80 columns where the source has a short name. The time is UTC, without the year.
fn list(collections: &[Listed]) {
    if collections.is_empty() {
        say!("no collections");
        return;
    }
    say!("{:<36}  {:<11}  {:<11}  {:>5}  source", "collection", "begun, UTC", "state", "count");
    for listed in collections {
        let state = match listed.state.as_str() {
            "completed_with_errors" => "with errors",
            "waiting_for_source" => "waiting",
            state => state,
        };
        let begun = listed.created_at.get(5..16).unwrap_or_default().replace('T', " ");
        let count = listed.count.map_or_else(|| "all".to_owned(), |count| count.to_string());
        let (id, source) = (&listed.data_request_id, one_line(&listed.source));
        say!("{id:<36}  {begun:<11}  {state:<11}  {count:>5}  {source}");
    }
}

pub(crate) async fn confirm_hiding(options: StopOptions) -> Result<()> {
    show(&Client::new(&options.service.url)?.confirm_hiding(&options.id).await?);
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
    progress::print_notes(status);
    progress::print_errors(status);
}
