use std::io::{IsTerminal, Write};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{list, state};
use crate::{
    client::{Client, Total},
    options::ChangeJobsOptions,
    output::say,
};

/// What is done to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Cancel,
    Retry,
    Discard,
}

impl Change {
    /// Its name in the API.
    fn verb(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// What the job is then.
    fn participle(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled",
            Self::Retry => "retried",
            Self::Discard => "discarded",
        }
    }

    /// Whether the service does it to a job in this state.
    fn is_for(self, state: &str) -> bool {
        match self {
            Self::Cancel | Self::Discard => {
                matches!(state, "available" | "scheduled" | "running" | "retryable")
            }
            Self::Retry => matches!(state, "scheduled" | "retryable" | "cancelled" | "discarded"),
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Cancel => "cancelled, or told to stop",
            Self::Retry => "retried",
            Self::Discard => "discarded, or told to stop",
        }
    }
}

pub(super) async fn run(change: Change, options: &ChangeJobsOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    if !options.ids.is_empty() {
        return change_each(&client, change, options).await;
    }
    let body = match (options.all, options.filter.is_empty()) {
        (true, _) => json!({ "all": true }),
        (false, false) => options.filter.to_request(),
        (false, true) => bail!("name jobs by their ids, or choose them: --queue NAME and the like, or --all"),
    };
    let matched = client.preview(change.verb(), &body).await?;
    let number = describe(&matched);
    if options.dry_run || matched.value == 0 {
        say!("{number} to {}", change.verb());
        return Ok(());
    }
    if !options.yes && !is_agreed(&format!("{} {number}?", change.verb()))? {
        say!("nothing was changed");
        return Ok(());
    }
    change_many(&client, change, &body, &matched).await
}

/// Changes the jobs with these ids, one by one; fails at the end when one could not be changed.
async fn change_each(client: &Client, change: Change, options: &ChangeJobsOptions) -> Result<()> {
    if options.dry_run {
        return preview_each(client, change, &options.ids).await;
    }
    let mut failed = 0;
    for &id in &options.ids {
        match client.change_job(change.verb(), id).await {
            Ok(job) => say!("job {id} is {}", state(&job)),
            Err(error) if options.ids.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                say!("job {id}: {error:#}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} jobs could not be changed", options.ids.len());
    }
    Ok(())
}

/// Shows the jobs with these ids, and says to which of them nothing would happen.
async fn preview_each(client: &Client, change: Change, ids: &[i64]) -> Result<()> {
    let mut jobs = Vec::new();
    for &id in ids {
        jobs.push(client.job(id).await?);
    }
    list::print(&jobs);
    let (changed, left): (Vec<_>, Vec<_>) = jobs.iter().partition(|job| change.is_for(&job.state));
    for job in left {
        say!("job {} is {} and cannot be {}", job.id, state(job), change.participle());
    }
    let number = describe(&Total { value: changed.len() as u64, exact: true });
    say!("{number} to {}", change.verb());
    Ok(())
}

/// Batch after batch, with a bar on a terminal and a line for each request elsewhere.
async fn change_many(client: &Client, change: Change, body: &Value, matched: &Total) -> Result<()> {
    let bar = std::io::stderr().is_terminal().then(|| bar(matched));
    let (mut changed, mut conflicts, mut cursor) = (0, 0, None);
    loop {
        let step = client.change_jobs(change.verb(), body, cursor.as_deref()).await?;
        changed += step.changed;
        conflicts += step.conflicts;
        cursor = step.next_cursor;
        if let Some(bar) = &bar {
            bar.set_position(changed);
        }
        if cursor.is_none() {
            break;
        }
        if bar.is_none() {
            say!("{changed} of {} so far", describe(matched));
        }
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    say!("{changed} {}", change.done());
    if conflicts > 0 {
        say!("{conflicts} could not come back: other jobs have their unique keys");
    }
    Ok(())
}

fn describe(matched: &Total) -> String {
    let more_than = if matched.exact { "" } else { "more than " };
    format!("{more_than}{} {}", matched.value, if matched.value == 1 { "job" } else { "jobs" })
}

fn bar(matched: &Total) -> ProgressBar {
    // Nobody knows the length of what is more than could be counted.
    let bar = if matched.exact { ProgressBar::new(matched.value) } else { ProgressBar::no_length() };
    let style = ProgressStyle::with_template("{bar:40.cyan/blue} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

/// Asks on the terminal.
///
/// # Errors
/// When there is none to ask on.
fn is_agreed(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("{question} There is nobody to ask: say --yes, or look with --dry-run first");
    }
    let mut terminal = std::io::stderr();
    write!(terminal, "{question} [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
