//! Looking at jobs, and changing them.

mod change;
mod list;

use anyhow::Result;
use serde_json::Value;

use self::change::Change;
use crate::{
    client::{Client, Job},
    options::{JobOptions, JobsCommand},
    output::say,
    table::{one_line, time},
};

pub(crate) async fn run(command: JobsCommand) -> Result<()> {
    match command {
        JobsCommand::List(options) => list::run(&options).await,
        JobsCommand::Show(options) => show(&options).await,
        JobsCommand::Why(options) => why(&options).await,
        JobsCommand::Cancel(options) => change::run(Change::Cancel, &options).await,
        JobsCommand::Retry(options) => change::run(Change::Retry, &options).await,
        JobsCommand::Discard(options) => change::run(Change::Discard, &options).await,
    }
}

async fn show(options: &JobOptions) -> Result<()> {
    let job = Client::new(&options.service.url)?.job(options.id).await?;
    say!("job {} of the queue {}, {}", job.id, one_line(&job.queue), state(&job));
    let line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            say!("  {name:<16} {}", one_line(&value));
        }
    };
    line("kind", Some(job.kind));
    line("attempts", Some(format!("{} of {}", job.attempt, job.max_attempts)));
    line("priority", Some(job.priority).filter(|&p| p != 0).map(|p| p.to_string()));
    line("created", Some(time(&job.created_at)));
    line("due", Some(time(&job.run_at)));
    line("started", job.started_at.as_deref().map(time));
    line("finished", job.finished_at.as_deref().map(time));
    line("worker", job.worker);
    line("idempotency key", job.idempotency_key);
    line("concurrency key", job.concurrency_key);
    line("group", job.group_id.map(|id| id.to_string()));
    line("traceparent", job.traceparent);
    line("args", Some(job.args).filter(|args| *args != Value::Null).map(|args| args.to_string()));
    for error in &job.errors {
        let at = error.at.as_deref().map(time).unwrap_or_default();
        say!(
            "  attempt {} failed {at}, {}: {}",
            error.attempt,
            one_line(&error.code),
            one_line(&error.error)
        );
    }
    Ok(())
}

async fn why(options: &JobOptions) -> Result<()> {
    for obstacle in Client::new(&options.service.url)?.why(options.id).await? {
        let until = obstacle.until.map_or_else(String::new, |at| format!(", until {}", time(&at)));
        say!("{:<12} {}{until}", obstacle.reason, one_line(&obstacle.detail));
    }
    Ok(())
}

/// Where a job stands, in words.
fn state(job: &Job) -> String {
    match &job.end_as {
        Some(end_as) => format!("{}, to be {end_as}", job.state),
        None => job.state.clone(),
    }
}
