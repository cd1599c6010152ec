use poem_openapi::{Object, types::Example};
use resume_queue::inspect::JobPage;

use super::Job;
use crate::{
    cursor::{self, Numbered},
    jobs::place::Below,
};

/// How many jobs a page has unless told otherwise.
pub(in crate::jobs) fn default_limit() -> u32 {
    20
}

/// A page of the list of jobs.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::jobs) struct JobList {
    /// The jobs, the newest first. There may be fewer than `limit`, or none, and more on the next page.
    results: Vec<Job>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

impl From<JobPage> for JobList {
    fn from(page: JobPage) -> Self {
        Self {
            results: page.jobs.into_iter().map(Into::into).collect(),
            next_cursor: page.next.map(|id| cursor::encode::<Below>(&Numbered(id))),
        }
    }
}

impl Example for JobList {
    fn example() -> Self {
        Self { results: vec![Job::example()], next_cursor: None }
    }
}
