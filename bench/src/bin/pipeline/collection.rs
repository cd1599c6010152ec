use std::{path::Path, time::Duration};

use anyhow::Result;
use bench::{Target, spread};
use mock_ats::{Api, Ats, Face, MockServer, Settings};
use resume_core::{
    db::{self, Role},
    source::{
        self,
        definition::{Definition, Interval, Limit},
    },
};
use resume_postgres::Cluster;

use crate::service::Service;

/// A collection to time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    name: &'static str,
    pub(crate) count: u32,
    pub(crate) per_page: u32,
    pub(crate) batch_size: u32,
    parse_delay: &'static str,
    /// Worker processes beside the API; 0: everything in one process.
    workers: usize,
    /// Whether each resume takes a call of its own, at 500 calls a second.
    has_details: bool,
    floor_s: f64,
    /// What the stack before took, where that was measured.
    old_stack_s: Option<f64>,
    target: &'static str,
    at_most_s: f64,
}

pub(crate) const DEFAULT_JOB: Job = Job {
    name: "default job",
    count: 100,
    per_page: 10,
    batch_size: 10,
    parse_delay: "2s",
    workers: 0,
    has_details: false,
    floor_s: 2.3,
    old_stack_s: Some(101.7),
    target: "default_job",
    at_most_s: 3.5,
};

pub(crate) const THROUGHPUT: Job = Job {
    name: "throughput",
    count: 20_000,
    per_page: 100,
    batch_size: 100,
    parse_delay: "0s",
    workers: 0,
    has_details: false,
    floor_s: 6.7,
    old_stack_s: Some(53.0),
    target: "throughput_20000",
    at_most_s: 7.5,
};

/// Within 3 % of what 200 calls at 30 a second take.
pub(crate) const FLEET: Job = Job {
    name: "fleet",
    workers: 4,
    floor_s: 200.0 / 30.0,
    old_stack_s: None,
    target: "fleet_20000",
    at_most_s: 200.0 / 30.0 * 1.03,
    ..THROUGHPUT
};

/// At least 10,000 resumes a second, from the trigger to the last one that can be searched.
pub(crate) const MILLION: Job = Job {
    name: "million",
    count: 1_000_000,
    per_page: 1_000,
    batch_size: 1_000,
    parse_delay: "0s",
    workers: 2,
    has_details: false,
    floor_s: 1_000.0 / 30.0,
    old_stack_s: None,
    target: "million",
    at_most_s: 100.0,
};

/// Each behind a call for one person: at least 450 resumes a second of the 500 calls that are allowed.
pub(crate) const DETAILS: Job = Job {
    name: "details",
    count: 100_000,
    per_page: 1_000,
    batch_size: 100,
    has_details: true,
    floor_s: 100_100.0 / 500.0,
    old_stack_s: None,
    target: "details_100000",
    at_most_s: 100_000.0 / 450.0,
    ..THROUGHPUT
};

/// The most memory that any process of the service may take while it collects.
const MEMORY_MAX_MB: f64 = 150.0;

pub(crate) async fn time_job(
    binary: &Path,
    cluster: &Cluster,
    job: Job,
    rounds: usize,
) -> Result<Vec<Target>> {
    let mut seconds = Vec::new();
    let (mut refused, mut busiest_second, mut memory_mb) = (0, 0, 0.0_f64);
    for round in 0..rounds {
        let url = cluster.url(&format!("{}_{round}", job.target));
        // The service's own mock stays unused: this one is in another process, as a real source would be.
        let settings = Settings { wants_credentials: !job.has_details, ..Settings::default() };
        let mock = MockServer::start(Ats::new(settings)).await?;
        let service = Service::start(binary, &url, job.workers, job.parse_delay).await?;
        add_source(&url, job.definition(&mock)?).await?;
        seconds.push(service.time(job).await?);
        let seen = mock.ats().stats();
        let details = mock.ats().api_stats(Api::Recruitee);
        refused += seen.rate_limited + details.rate_limited;
        busiest_second =
            busiest_second.max(seen.max_calls_in_one_second).max(details.max_calls_in_one_second);
        for pid in service.pids() {
            memory_mb = memory_mb.max(bench::memory_megabytes(pid, bench::Memory::Peak)?);
        }
        service.stop().await?;
    }
    println!(
        "{}: {} resumes, {} a page, batches of {}, {} of parsing each; {rounds} rounds",
        job.name, job.count, job.per_page, job.batch_size, job.parse_delay
    );
    println!("  seconds to the last resume      {}", spread(&seconds));
    println!("  floor                           {:.1}", job.floor_s);
    if let Some(old_stack_s) = job.old_stack_s {
        println!("  Django, Celery and RabbitMQ     {old_stack_s:.1}");
    }
    println!("  resumes a second                {:.0}", f64::from(job.count) / bench::median(&seconds));
    println!("  most memory of a process, MB    {memory_mb:.0}");
    println!("  calls refused by the mock       {refused}");
    println!("  most calls in any second        {busiest_second} of {}", job.calls_per_second());
    Ok(vec![
        Target::at_most(format!("{}_s", job.target), bench::median(&seconds), job.at_most_s),
        Target::at_most(format!("{}_refused_calls", job.target), refused as f64, 0.0),
        Target::at_most(
            format!("{}_calls_in_busiest_second", job.target),
            busiest_second as f64,
            job.calls_per_second().into(),
        ),
        Target::at_most(format!("{}_memory_mb", job.target), memory_mb, MEMORY_MAX_MB),
    ])
}

impl Job {
    fn calls_per_second(self) -> u32 {
        if self.has_details { 500 } else { 30 }
    }

    /// The source, which it sets up.
    fn definition(self, mock: &MockServer) -> Result<Definition> {
        if !self.has_details {
            return Ok(Definition::original("bench", &mock.url(), Face::TestData.path(), 30));
        }
        mock.ats().set_people(Api::Recruitee, self.count);
        mock.ats().set_api_calls(Api::Recruitee, self.calls_per_second());
        let recruitee = Definition::from_yaml(include_str!("../../../../sources/recruitee.yaml"))?;
        let per = Interval(Duration::from_secs(1));
        let limits = vec![Limit { calls: self.calls_per_second(), per, burst: 1 }];
        let (name, auth) = ("bench".to_owned(), Vec::new());
        let base_url = format!("{}/mock/{}", mock.url(), Api::Recruitee.name());
        Ok(Definition { name, base_url, auth, limits, allow_private_network: true, ..recruitee })
    }
}

async fn add_source(database_url: &str, definition: Definition) -> Result<()> {
    let pool = db::pool(database_url, Role::Worker)?;
    source::put(&mut *pool.acquire().await?, &definition).await?;
    pool.close().await;
    Ok(())
}
