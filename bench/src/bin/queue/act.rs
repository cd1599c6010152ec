//! What a process of a measurement does. Each system acts in a process of its own, which the program starts
//! from its own binary, so that neither memory nor threads are shared; it reports with one line of JSON.
#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use sqlx::{Connection, PgConnection};
use tokio::{sync::oneshot, task::JoinSet};

use crate::{
    peers::{NoOp, Peer, Purpose, System, with_peer},
    seen, sql,
};

/// How many jobs one statement enqueues, for all systems: River's own bench does as much, and more gains
/// nothing.
pub(crate) const CHUNK: u64 = 5000;
/// How many clients enqueue single jobs side by side.
pub(crate) const CLIENTS: u64 = 16;
/// How long no job may start before a worker is given up.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Args)]
pub(crate) struct Act {
    system: System,
    role: Role,
    #[arg(long)]
    url: String,
    #[arg(long, default_value_t = 0)]
    jobs: u64,
    /// Jobs a second, for `produce`.
    #[arg(long, default_value_t = 0)]
    rate: u64,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Role {
    /// Makes the tables.
    CreateSchema,
    /// Enqueues jobs, thousands at once.
    Enqueue,
    /// Enqueues jobs one by one, from several clients.
    EnqueueSingly,
    /// Works until all jobs have ended, and takes the time.
    Drain,
    /// Enqueues single jobs at a given rate.
    Produce,
    /// Works until all jobs have started, and notes how long each waited.
    Consume,
    /// Works until its input ends.
    Idle,
}

/// What a process reports. What does not apply is zero.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Processor time of this process in those seconds.
    pub(crate) processor_s: f64,
    /// Jobs that were started.
    pub(crate) started: u64,
    pub(crate) latencies_ms: Vec<f64>,
}

/// Does what is asked and prints the report.
pub(crate) async fn act(act: &Act) -> Result<()> {
    let report = with_peer!(act.system, play(act))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}

async fn play<P: Peer>(act: &Act) -> Result<Report> {
    let peer = P::connect(&act.url).await?;
    match act.role {
        Role::CreateSchema => peer.create_schema().await.map(|()| Report::default()),
        Role::Enqueue => enqueue(&peer, act.jobs).await,
        Role::EnqueueSingly => enqueue_singly(peer, act.jobs).await,
        Role::Drain => drain(&peer, act).await,
        Role::Produce => produce(peer, act).await,
        Role::Consume => consume(&peer, act.jobs).await,
        Role::Idle => idle(&peer).await,
    }
}

fn no_op(n: u64) -> NoOp {
    NoOp { n, made_at_us: seen::now_us() }
}

async fn enqueue<P: Peer>(peer: &P, jobs: u64) -> Result<Report> {
    let begun = Begun::now()?;
    let mut n = 0;
    while n < jobs {
        let next = (n + CHUNK).min(jobs);
        peer.enqueue_all((n..next).map(no_op).collect()).await?;
        n = next;
    }
    begun.report()
}

async fn enqueue_singly<P: Peer>(peer: P, jobs: u64) -> Result<Report> {
    let peer = std::sync::Arc::new(peer);
    // Opens the connections, which is not what is measured.
    let mut clients = JoinSet::new();
    let ready = std::sync::Arc::new(tokio::sync::Barrier::new(CLIENTS as usize + 1));
    for client in 0..CLIENTS {
        let (peer, ready) = (peer.clone(), ready.clone());
        clients.spawn(async move {
            peer.enqueue(no_op(client)).await?;
            ready.wait().await;
            for n in 0..jobs / CLIENTS {
                peer.enqueue(no_op(n)).await?;
            }
            anyhow::Ok(())
        });
    }
    ready.wait().await;
    let begun = Begun::now()?;
    while let Some(client) = clients.join_next().await {
        client??;
    }
    begun.report()
}

/// The clock starts with the worker, and stops when the database shows that all jobs have ended: a handler
/// that has run is not a job that is done.
async fn drain<P: Peer>(peer: &P, act: &Act) -> Result<Report> {
    let mut look = PgConnection::connect(&act.url).await?;
    let begun = Begun::now()?;
    let all_ended = async {
        ensure!(seen::until(act.jobs, PATIENCE).await, "only {} jobs were started", seen::started());
        let deadline = Instant::now() + PATIENCE;
        while sql::number(&mut look, P::ABOUT.unfinished).await? > 0 {
            ensure!(Instant::now() < deadline, "the jobs were started and do not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.report()
    };
    while_working(peer, Purpose::Drain, all_ended).await
}

/// Runs a worker for as long as `measurement` takes, and stops it in good order.
async fn while_working<P: Peer>(
    peer: &P,
    purpose: Purpose,
    measurement: impl Future<Output = Result<Report>>,
) -> Result<Report> {
    let (stop, stopped) = oneshot::channel();
    let mut work = std::pin::pin!(peer.work(purpose, stopped));
    let report = tokio::select! {
        report = measurement => report?,
        ended = &mut work => bail!("the worker ended by itself: {ended:?}"),
    };
    let _ = stop.send(());
    tokio::time::timeout(PATIENCE, work).await.context("the worker does not stop")??;
    Ok(report)
}

/// Each job is made when it is due, whether or not those before it are through: a system that falls behind
/// shows it.
async fn produce<P: Peer>(peer: P, act: &Act) -> Result<Report> {
    let peer = std::sync::Arc::new(peer);
    let begun = Begun::now()?;
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    let mut under_way = JoinSet::new();
    let mut made = 0;
    while made < act.jobs {
        tick.tick().await;
        let due = (begun.at.elapsed().as_secs_f64() * act.rate as f64) as u64;
        for n in made..due.min(act.jobs) {
            let peer = peer.clone();
            let job = no_op(n);
            under_way.spawn(async move { peer.enqueue(job).await });
        }
        made = due.min(act.jobs).max(made);
    }
    while let Some(enqueued) = under_way.join_next().await {
        enqueued??;
    }
    begun.report()
}

async fn consume<P: Peer>(peer: &P, jobs: u64) -> Result<Report> {
    seen::time();
    let begun = Begun::now()?;
    let all_started = async {
        // Some systems lose wake-ups: what has not started by then is missing in the report.
        seen::until(jobs, PATIENCE).await;
        begun.report()
    };
    while_working(peer, Purpose::Latency, all_started).await
}

async fn idle<P: Peer>(peer: &P) -> Result<Report> {
    let begun = Begun::now()?;
    let told_to_end = async {
        tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await?;
        begun.report()
    };
    while_working(peer, Purpose::Idle, told_to_end).await
}

/// The begin of what is measured.
struct Begun {
    at: Instant,
    processor_s: f64,
}

impl Begun {
    fn now() -> Result<Self> {
        Ok(Self { processor_s: bench::processor_seconds(std::process::id())?, at: Instant::now() })
    }

    fn report(&self) -> Result<Report> {
        Ok(Report {
            seconds: self.at.elapsed().as_secs_f64(),
            processor_s: bench::processor_seconds(std::process::id())? - self.processor_s,
            started: seen::started(),
            latencies_ms: seen::latencies_ms(),
        })
    }
}
