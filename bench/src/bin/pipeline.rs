//! How long does the main job take, and what does the service cost when it is idle?
//!
//! Runs the real binary on a durable private cluster, against a mock system in this process, and triggers over HTTP.
//! The floors are set by the slow parser (2 s) and by the limit of 30 calls a second; the figures of the Django,
//! Celery and RabbitMQ stack that this replaces were taken on a machine of the same size.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bench::{Target, arguments::write_name, cluster::start_cluster, print_head, processor_seconds, spread};
use clap::{Parser, ValueEnum};
use mock_ats::{Ats, Face, MockServer};
use resume_core::{
    db::{self, Role},
    parsing::Format,
    source::{self, Paging, Source},
};
use resume_postgres::Cluster;
use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// How long the service is left alone before it is called idle, and how long it is then watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(30);

#[derive(Debug, Parser)]
struct Options {
    /// Measures only these parts.
    #[arg(long, value_delimiter = ',', default_values_t = [Part::DefaultJob, Part::Throughput, Part::Idle, Part::FirstDemo])]
    only: Vec<Part>,
    /// How often the collections are repeated.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 100 resumes, 10 a page, batches of 10, 2 s of parsing each.
    DefaultJob,
    /// 20,000 resumes, 100 a page, no parse delay.
    Throughput,
    /// Memory and processor time of an idle service.
    Idle,
    /// The first demo of a fresh clone, build included.
    FirstDemo,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write_name(self, f)
    }
}

/// A collection to time.
#[derive(Debug, Clone, Copy)]
struct Job {
    name: &'static str,
    count: u32,
    per_page: u32,
    batch_size: u32,
    parse_delay: &'static str,
    floor_s: f64,
    old_stack_s: f64,
    target: &'static str,
    at_most_s: f64,
}

const DEFAULT_JOB: Job = Job {
    name: "default job",
    count: 100,
    per_page: 10,
    batch_size: 10,
    parse_delay: "2s",
    floor_s: 2.3,
    old_stack_s: 101.7,
    target: "default_job",
    at_most_s: 3.5,
};

const THROUGHPUT: Job = Job {
    name: "throughput",
    count: 20_000,
    per_page: 100,
    batch_size: 100,
    parse_delay: "0s",
    floor_s: 6.7,
    old_stack_s: 53.0,
    target: "throughput_20000",
    at_most_s: 7.5,
};

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let binary = build_binary().await?;
    let (directory, cluster) = start_cluster().await?;
    print_head("pipeline", cluster.programs().version());

    let mut targets = Vec::new();
    for part in &options.only {
        println!("\n== {part}");
        targets.extend(match part {
            Part::DefaultJob => time_job(&binary, &cluster, DEFAULT_JOB, options.rounds).await?,
            Part::Throughput => time_job(&binary, &cluster, THROUGHPUT, options.rounds).await?,
            Part::Idle => watch_idle(&binary, &cluster).await?,
            Part::FirstDemo => time_first_demo(directory.path()).await?,
        });
    }
    println!();
    targets.iter().for_each(Target::print);
    tokio::task::spawn_blocking(move || drop(cluster)).await?;
    Ok(())
}

/// Builds the binary as `cargo run --release` would and gives its path.
async fn build_binary() -> Result<PathBuf> {
    let status = Command::new("cargo").args(["build", "--release", "-p", "resume-service"]).status().await?;
    ensure!(status.success(), "building the service failed");
    let own = std::env::current_exe()?;
    let binary = own.with_file_name("resume-service");
    ensure!(binary.exists(), "{} is missing: run this with --release", binary.display());
    Ok(binary)
}

/// A running service on a database of its own.
struct Service {
    child: Child,
    http: reqwest::Client,
    base: String,
}

impl Service {
    async fn start(binary: &Path, database_url: &str, arguments: &[&str]) -> Result<Self> {
        db::create_if_missing(database_url).await?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(binary)
            .args(["up", "--bind", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .env("DATABASE_URL", database_url)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let service = Self {
            child,
            http: reqwest::Client::builder().build()?,
            base: format!("http://127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while service.http.get(format!("{}/readyz", service.base)).send().await.is_err() {
            ensure!(Instant::now() < deadline, "the service does not come up");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(service)
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let reply = self.http.get(format!("{}/api/v1/{path}", self.base)).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&reply.bytes().await?)?)
    }

    /// Triggers a collection and gives the seconds until its last resume is searchable.
    async fn time(&self, job: Job) -> Result<f64> {
        let body = json!({
            "source": "bench", "count": job.count, "per_page": job.per_page, "batch_size": job.batch_size
        });
        let begun = Instant::now();
        let request = self.http.post(format!("{}/api/v1/data-collection/trigger", self.base)).json(&body);
        let reply: Value = serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?;
        let id = reply["data_request_id"].as_str().context("no id in the reply")?;
        loop {
            let status = self.get(&format!("data-collection/status/{id}")).await?;
            if status["finished_at"].is_string() {
                let seconds = begun.elapsed().as_secs_f64();
                ensure!(status["state"] == "completed", "the collection ended as {}", status["state"]);
                ensure!(status["documents"]["parsed"] == job.count, "not every resume was parsed: {status}");
                return Ok(seconds);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops in good order, so that the next one does not meet its remains.
    async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            Command::new("kill").arg(pid.to_string()).status().await?;
        }
        self.child.wait().await?;
        Ok(())
    }
}

async fn time_job(binary: &Path, cluster: &Cluster, job: Job, rounds: usize) -> Result<Vec<Target>> {
    let mut seconds = Vec::new();
    let (mut refused, mut busiest_second) = (0, 0);
    for round in 0..rounds {
        let url = cluster.url(&format!("{}_{round}", job.target));
        // The service's own mock stays unused: this one is in another process, as a real source would be.
        let mock = MockServer::start(Ats::new(mock_ats::Settings::default())).await?;
        let service = Service::start(binary, &url, &["--parse-delay", job.parse_delay]).await?;
        add_source(&url, &mock).await?;
        seconds.push(service.time(job).await?);
        let seen = mock.ats().stats();
        refused += seen.rate_limited;
        busiest_second = busiest_second.max(seen.max_calls_in_one_second);
        service.stop().await?;
    }
    println!(
        "{}: {} resumes, {} a page, batches of {}, {} of parsing each; {rounds} rounds",
        job.name, job.count, job.per_page, job.batch_size, job.parse_delay
    );
    println!("  seconds to the last resume      {}", spread(&seconds));
    println!("  floor                           {:.1}", job.floor_s);
    println!("  Django, Celery and RabbitMQ     {:.1}", job.old_stack_s);
    println!("  calls refused by the mock       {refused}");
    println!("  most calls in any second        {busiest_second} of 30");
    Ok(vec![
        Target::at_most(format!("{}_s", job.target), bench::median(&seconds), job.at_most_s),
        Target::at_most(format!("{}_refused_calls", job.target), refused as f64, 0.0),
        Target::at_most(format!("{}_calls_in_busiest_second", job.target), busiest_second as f64, 30.0),
    ])
}

async fn add_source(database_url: &str, mock: &MockServer) -> Result<()> {
    let pool = db::pool(database_url, Role::Worker)?;
    let source = Source {
        name: "bench".to_owned(),
        url: format!("{}{}", mock.url(), Face::TestData.path()),
        paging: Paging::Numbered,
        format: Format::Profile,
        calls_per_second: 30,
    };
    source::put(&mut *pool.acquire().await?, &source).await?;
    pool.close().await;
    Ok(())
}

async fn watch_idle(binary: &Path, cluster: &Cluster) -> Result<Vec<Target>> {
    let service = Service::start(binary, &cluster.url("idle"), &[]).await?;
    let pid = service.child.id().context("the service is gone")?;
    tokio::time::sleep(SETTLE).await;
    let before = processor_seconds(pid)?;
    tokio::time::sleep(WATCH).await;
    let percent = (processor_seconds(pid)? - before) / WATCH.as_secs_f64() * 100.0;
    let megabytes = resident_megabytes(pid)?;
    service.stop().await?;
    println!("idle `up`, watched for {} s", WATCH.as_secs());
    println!("  resident memory, MB             {megabytes:.1}");
    println!("  processor, % of one core        {percent:.2}");
    Ok(vec![
        Target::at_most("idle_memory_mb", megabytes, 100.0),
        Target::at_most("idle_processor_percent", percent, 1.0),
    ])
}

fn resident_megabytes(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// Clones the committed state and runs the README's first command in it. What cargo has downloaded before is used.
async fn time_first_demo(directory: &Path) -> Result<Vec<Target>> {
    let clone = directory.join("clone");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let cloned = Command::new("git").arg("clone").arg("--quiet").arg(source).arg(&clone).status().await?;
    ensure!(cloned.success(), "git clone failed");
    let begun = Instant::now();
    let status = Command::new("cargo")
        .args(["run", "--release", "--", "demo", "--bind", "127.0.0.1:0"])
        .current_dir(&clone)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("DATABASE_URL")
        .env("RESUME_DATA_DIR", directory.join("demo-data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    ensure!(status.success(), "the demo failed");
    println!("first demo of a fresh clone, build included");
    println!("  minutes                         {minutes:.2}");
    Ok(vec![Target::at_most("first_demo_minutes", minutes, 8.0)])
}
