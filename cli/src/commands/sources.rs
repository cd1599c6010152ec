//! Looking at sources, adding and removing them.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use resume_connector::{Connector, Probe, Timeouts};
use resume_core::{
    attachment::Finder,
    document::NewDocument,
    source::definition::{Definition, DefinitionError, Faults, Limit, Paging},
};

use crate::{
    client::{Client, Source, SourceCalls},
    options::{AddSourceOptions, CheckSourceOptions, SourcesCommand},
    output::say,
    table::{self, one_line, time},
};

pub(crate) async fn run(command: SourcesCommand) -> Result<()> {
    match command {
        SourcesCommand::List(options) => list(&Client::new(&options.service.url)?.sources().await?),
        SourcesCommand::Show(options) => {
            show(&Client::new(&options.service.url)?.source(&options.name).await?)?;
        }
        SourcesCommand::Add(options) => add(&options).await?,
        SourcesCommand::Remove(options) => {
            let source = Client::new(&options.service.url)?.remove_source(&options.name).await?;
            say!("removed the source {}; what it brought stays", one_line(&source.definition.name));
        }
        SourcesCommand::Check(options) => check(&options).await?,
        SourcesCommand::Calls(options) => {
            let client = Client::new(&options.service.url)?;
            let period = (options.from.as_deref(), options.to.as_deref());
            if options.statement {
                // Its last line ends as the others do.
                say!("{}", client.source_statement(&options.name, period).await?.trim_end());
            } else {
                show_calls(&client.source_calls(&options.name, period).await?);
            }
        }
        SourcesCommand::Hold(options) => {
            let source = Client::new(&options.service.url)?.hold_source(&options.name).await?;
            say!("nobody calls {} until `sources release`", one_line(&source.definition.name));
        }
        SourcesCommand::Release(options) => {
            let source = Client::new(&options.service.url)?.release_source(&options.name).await?;
            let silence = source.ended_silence_until.as_deref().map(time);
            let silence =
                silence.map_or_else(String::new, |at| format!("; it had asked for silence until {at}"));
            say!("{} is called again{silence}", one_line(&source.definition.name));
        }
        SourcesCommand::Reparse(options) => {
            let reparse = Client::new(&options.service.url)?.reparse_source(&options.name).await?;
            let documents = reparse.documents.map_or_else(|| "many".to_owned(), |count| count.to_string());
            let job = reparse.job_id;
            say!(
                "{documents} documents are read again; `resume-service jobs show {job}` tells of the first ones"
            );
        }
        SourcesCommand::Schema => say!("{}", serde_json::to_string_pretty(&Definition::json_schema())?),
    }
    Ok(())
}

async fn add(options: &AddSourceOptions) -> Result<()> {
    #[cfg_attr(not(feature = "mock"), expect(unused_mut, reason = "only a mock changes it"))]
    let mut definition = read(&options.file)?;
    #[cfg(feature = "mock")]
    if options.mock {
        crate::mock::point_at_face(&mut definition, &options.service.url)?;
    }
    let source = Client::new(&options.service.url)?.put_source(&definition).await?;
    let name = one_line(&source.definition.name);
    let command = if definition.is_of_files() { "import" } else { "collect" };
    say!("the source {name} is there; collect from it with `resume-service {command} --source {name}`");
    if let Some(outdated @ 1..) = source.outdated {
        say!(
            "{outdated} documents were read as it was before; `resume-service sources reparse {name}` reads \
             them again"
        );
    }
    Ok(())
}

/// Reads a definition; what is wrong with it is told by the line.
fn read(file: &Path) -> Result<Definition> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    match Definition::from_yaml(&text) {
        Ok(definition) => Ok(definition),
        Err(DefinitionError::Faults(Faults(faults))) => {
            let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
            bail!("{} defines no source:{}", file.display(), lines.concat())
        }
        Err(other) => bail!("{}: {other}", file.display()),
    }
}

async fn check(options: &CheckSourceOptions) -> Result<()> {
    let definition = read(&options.file)?;
    say!("{} defines the source {}", options.file.display(), one_line(&definition.name));
    if definition.is_of_files() {
        say!("its items come in files: `resume-service import --source {}`", one_line(&definition.name));
        return Ok(());
    }
    if definition.known.is_some() {
        say!("it is asked for people who are known by their links, and nobody is asked for now");
        return Ok(());
    }
    if options.offline {
        return Ok(());
    }
    let connector = Connector::new(Timeouts::default(), options.secrets.secrets_dir.clone())?;
    let probe = connector.probe(&definition).await.map_err(|error| {
        let code = error.code().unwrap_or_else(|| "rate_limited".to_owned());
        anyhow::Error::from(error).context(format!("the source does not answer as the file says ({code})"))
    })?;
    show_probe(&definition, &probe);
    Ok(())
}

fn show_probe(definition: &Definition, probe: &Probe) {
    let total = probe.total.map_or_else(String::new, |total| format!(" of {total}"));
    let more = if probe.has_next { "more pages follow" } else { "it is the only page" };
    let took = humantime::format_duration(Duration::from_millis(probe.took.as_millis() as u64));
    let calls = if probe.calls == 1 { "one call".to_owned() } else { format!("{} calls", probe.calls) };
    let of = probe.parents.map_or_else(String::new, |parents| format!("{parents} parents, the first with "));
    say!("{calls}: {of}{} items{total}, {more}; {} bytes in {took}", probe.items, probe.bytes);
    if let Some(deleted) = probe.deleted {
        say!("{deleted} who were deleted, on the first page of the feed");
    }
    let Some(first) = &probe.first else { return };
    say!("the first item has the id {}", first.external_id.as_deref().map_or("none".into(), one_line));
    show_attachments(definition, first);
    match probe.read_first(definition) {
        None => {}
        Some(Ok(resume)) => {
            say!("and is read as\n{}", serde_json::to_string_pretty(&resume).unwrap_or_default())
        }
        Some(Err(error)) => {
            say!("and cannot be read: {} at {:?}: {}", error.code.as_str(), error.pointer, error.detail)
        }
    }
}

/// Lists the attachments of an item; none is fetched.
fn show_attachments(definition: &Definition, item: &NewDocument) {
    // The expression was checked with the rest of the definition.
    let Some(finder) = definition.attachments.as_ref().and_then(|found| Finder::new(found).ok()) else {
        return;
    };
    let found = finder.find(&item.body);
    let names: Vec<String> = found.links.iter().map(|link| one_line(&link.name)).collect();
    say!("has {} attachments{}{}", names.len(), if names.is_empty() { "" } else { ": " }, names.join(", "));
    if let Some((code, detail)) = found.fault {
        say!("and some that cannot be fetched: {code}: {}", one_line(&detail));
    }
}

fn list(sources: &[Source]) {
    if sources.is_empty() {
        say!("no source; add one with `resume-service sources add FILE`");
        return;
    }
    let row = |source: &Source| {
        let definition = &source.definition;
        [
            definition.name.clone(),
            address(definition),
            if definition.has_first_call() { paging(&definition.list.paging) } else { "" }.to_owned(),
            limits(&definition.limits),
            definition.format.to_string(),
            time(&source.updated_at),
        ]
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    table::print_rows(["source", "address", "pages", "calls", "format", "changed"], &rows);
}

fn address(definition: &Definition) -> String {
    if definition.is_of_files() {
        return "files".to_owned();
    }
    let path = match &definition.detail {
        Some(detail) if definition.known.is_some() => &detail.path,
        _ => &definition.list.path,
    };
    format!("{}{path}", definition.base_url)
}

fn show(source: &Source) -> Result<()> {
    say!("{}", serde_json::to_string_pretty(&source.definition)?);
    Ok(())
}

fn show_calls(calls: &SourceCalls) {
    say!("from {} to {}", time(&calls.from), time(&calls.to));
    let line = |name: &str, value: String| say!("  {name:<22} {}", one_line(&value));
    line("calls", calls.calls.to_string());
    line("most in any second", calls.most_in_any_second.to_string());
    for window in &calls.windows {
        let length = humantime::format_duration(Duration::from_secs_f64(window.per_seconds.max(0.0)));
        line(&format!("most in any {length}"), format!("{} of {}", window.most, window.calls));
    }
    line("refused as too many", calls.refused.to_string());
    line("failed", calls.failed.to_string());
    line("wasted by crashes", calls.wasted.to_string());
    line("waited for a permit", format!("{} ms, at most {} ms", calls.waited_ms_median, calls.waited_ms_max));
    line("bytes", calls.bytes.to_string());
    let Some(now) = &calls.now else { return };
    say!("now");
    line("under way", now.under_way.to_string());
    if let Some(rate) = now.calls_per_second {
        line("calls a second", format!("{rate:.1}"));
    }
    let until = now.open_until.as_deref().map_or_else(String::new, |at| format!(", until {}", time(at)));
    line("circuit", format!("{}{until}", now.circuit));
    if let Some(at) = &now.silent_until {
        line("silence until", time(at));
    }
}

fn paging(paging: &Paging) -> &'static str {
    match paging {
        Paging::Numbered { .. } => "numbered",
        Paging::NextUrl { .. } => "next url",
        Paging::LinkHeader { .. } => "link header",
        Paging::Cursor { .. } => "cursor",
        Paging::Single {} => "one",
    }
}

fn limits(limits: &[Limit]) -> String {
    let each =
        limits.iter().map(|limit| format!("{} in {}", limit.calls, humantime::format_duration(limit.per.0)));
    each.collect::<Vec<_>>().join(", ")
}
