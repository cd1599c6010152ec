use anyhow::Result;

use super::state;
use crate::{
    client::{Client, Job},
    options::ListJobsOptions,
    output::say,
    table::{self, time},
};

/// The most jobs on a page of the service.
const PAGE_MAX: u32 = 100;

pub(super) async fn run(options: &ListJobsOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    let limit = options.limit as usize;
    let mut jobs: Vec<Job> = Vec::new();
    let mut cursor: Option<String> = None;
    // A page may be short, or empty, while there is more.
    loop {
        let missing = u32::try_from(limit - jobs.len()).unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let page = client.jobs(&options.filter, missing, cursor.as_deref()).await?;
        jobs.extend(page.results);
        cursor = page.next_cursor;
        if cursor.is_none() || jobs.len() >= limit {
            break;
        }
    }
    print(&jobs);
    if cursor.is_some() {
        say!("there may be more: --limit");
    }
    Ok(())
}

pub(super) fn print(jobs: &[Job]) {
    if jobs.is_empty() {
        say!("no job");
        return;
    }
    let rows: Vec<_> = jobs.iter().map(row).collect();
    table::print_rows(["id", "queue", "state", "attempt", "created", "due or ended", "last error"], &rows);
}

fn row(job: &Job) -> [String; 7] {
    [
        job.id.to_string(),
        job.queue.clone(),
        state(job),
        format!("{}/{}", job.attempt, job.max_attempts),
        time(&job.created_at),
        time(job.finished_at.as_ref().unwrap_or(&job.run_at)),
        job.last_error.clone().unwrap_or_default(),
    ]
}
