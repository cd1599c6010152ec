//! What is stored, and what became of it.

use std::io::Write;

use anyhow::{Context, Result};

use crate::{
    client::Client,
    options::{CallsOptions, DocumentsOptions, RawOptions, ResumesCommand, ResumesOptions},
    output::say,
    table,
};

pub(crate) async fn documents(options: DocumentsOptions) -> Result<()> {
    let documents = Client::new(&options.service.url)?.documents(&options).await?;
    let rows: Vec<_> = documents
        .into_iter()
        .map(|document| {
            let page = document.page.map_or_else(|| "?".to_owned(), |page| page.to_string());
            let pointer = document.pointer.filter(|pointer| !pointer.is_empty());
            let wrong = [document.code, pointer, document.detail].into_iter().flatten();
            [
                document.id.to_string(),
                document.external_id.unwrap_or_default(),
                format!("{page}.{}", document.position),
                document.state,
                wrong.collect::<Vec<_>>().join(": "),
            ]
        })
        .collect();
    table::print_rows(["id", "external id", "page", "state", "what was wrong"], &rows);
    Ok(())
}

pub(crate) async fn calls(options: CallsOptions) -> Result<()> {
    let calls = Client::new(&options.service.url)?.calls(&options).await?;
    let rows: Vec<_> = calls
        .into_iter()
        .map(|call| {
            let about = [call.parent, call.item].into_iter().flatten().collect::<Vec<_>>().join("/");
            let wrong = [call.code, call.error].into_iter().flatten().collect::<Vec<_>>().join(": ");
            [
                call.step,
                about,
                call.place.to_string(),
                call.state,
                call.made.to_string(),
                call.items.map_or_else(String::new, |items| items.to_string()),
                wrong,
            ]
        })
        .collect();
    table::print_rows(["step", "about", "place", "state", "made", "items", "what was wrong"], &rows);
    Ok(())
}

pub(crate) async fn raw(options: RawOptions) -> Result<()> {
    let body = Client::new(&options.service.url)?.raw_document(options.id, options.hidden).await?;
    match std::io::stdout().lock().write_all(&body) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing the document"),
    }
}

pub(crate) async fn resumes(options: ResumesOptions) -> Result<()> {
    if let Some(ResumesCommand::ExportPerson(person)) = options.command {
        let client = Client::new(&person.service.url)?;
        let exported = client.export_person(&person.source, &person.external_id).await?;
        say!("{}", serde_json::to_string_pretty(&exported)?);
        return Ok(());
    }
    let resumes = Client::new(&options.service.url)?.resumes(&options).await?;
    let row = |resume: crate::client::Resume| {
        let name = resume.name.unwrap_or_default();
        [resume.id.to_string(), resume.source, resume.external_id, name, resume.raw_document_id.to_string()]
    };
    let rows: Vec<_> = resumes.into_iter().map(row).collect();
    table::print_rows(["id", "source", "external id", "name", "raw document"], &rows);
    Ok(())
}
