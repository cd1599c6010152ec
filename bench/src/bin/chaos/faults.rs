//! The faults, one function each.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, Result, ensure};
use bench::sql;
use clap::ValueEnum;
use resume_postgres::{Cluster, RestartMode};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{Instant, sleep, sleep_until},
};

use crate::{
    clock::{self, Micros},
    fleet::{Fleet, Kill, signal},
};

/// How many workers are killed, one a second.
const KILLS: usize = 10;

/// How long a worker stands still: its lease, and the time that others need to notice even if it led.
const STOP: Duration = Duration::from_secs(12);
/// The lease of all workers while one of them is stopped.
const SHORT_LEASE: Duration = Duration::from_secs(5);

/// How long there are no connections to be had.
const EXHAUSTED: Duration = Duration::from_secs(5);
/// How often the workers lose what they have got.
const TAKE_EVERY: Duration = Duration::from_millis(250);
/// How many clients try at once for each connection that becomes free.
const GRABBERS: usize = 8;

const OUTAGE: Duration = Duration::from_secs(10);

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// `kill -9` of a random worker every second, ten times.
    WorkerKilled,
    /// `SIGSTOP` of a worker for longer than its lease, then `SIGCONT`.
    WorkerStopped,
    /// Postgres restarts in order.
    PostgresRestart,
    /// `kill -9` of the postmaster.
    PostgresKilled,
    /// All sessions are terminated.
    BackendsTerminated,
    /// Others take all connections that the server has, those of the workers included.
    ConnectionsExhausted,
    /// Postgres is stopped for ten seconds.
    Outage,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.to_possible_value().map(|value| value.get_name().to_owned());
        f.pad(&name.unwrap_or_default())
    }
}

/// What a fault did, and when.
#[derive(Debug)]
pub(crate) struct Injected {
    pub(crate) begun: Micros,
    pub(crate) ended: Micros,
    pub(crate) kills: Vec<Kill>,
    /// The worker that stood still.
    pub(crate) stopped: Option<u32>,
}

impl Injected {
    fn since(begun: Micros) -> Self {
        Self { begun, ended: clock::now(), kills: Vec::new(), stopped: None }
    }
}

impl Fault {
    /// The lease of the workers under this fault.
    pub(crate) fn lease(self) -> Duration {
        if self == Self::WorkerStopped { SHORT_LEASE } else { Duration::from_secs(30) }
    }

    /// Does it, and comes back when it is over.
    pub(crate) async fn inject(
        self,
        cluster: &Arc<Cluster>,
        url: &str,
        fleet: &mut Fleet,
    ) -> Result<Injected> {
        match self {
            Self::WorkerKilled => kill_workers(url, fleet).await,
            Self::WorkerStopped => stop_worker(fleet).await,
            Self::PostgresRestart => restart_postgres(cluster).await,
            Self::PostgresKilled => kill_postgres(cluster).await,
            Self::BackendsTerminated => terminate_backends(url).await,
            Self::ConnectionsExhausted => exhaust_connections(url).await,
            Self::Outage => stop_postgres(cluster).await,
        }
    }
}

async fn kill_workers(url: &str, fleet: &mut Fleet) -> Result<Injected> {
    let mut conn = connect_as_fault(url).await?;
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut kills = Vec::new();
    for _ in 0..KILLS {
        second.tick().await;
        kills.push(fleet.kill_one(&mut conn).await?);
    }
    let at = |kill: Option<&Kill>| kill.map_or_else(clock::now, |kill| kill.at);
    Ok(Injected { begun: at(kills.first()), ended: at(kills.last()), kills, stopped: None })
}

async fn stop_worker(fleet: &mut Fleet) -> Result<Injected> {
    let pid = fleet.pick()?;
    let begun = clock::now();
    signal("-STOP", pid).await?;
    sleep(STOP).await;
    signal("-CONT", pid).await?;
    Ok(Injected { stopped: Some(pid), ..Injected::since(begun) })
}

async fn restart_postgres(cluster: &Arc<Cluster>) -> Result<Injected> {
    let (begun, cluster) = (clock::now(), cluster.clone());
    spawn_blocking(move || cluster.restart(RestartMode::Fast)).await??;
    Ok(Injected::since(begun))
}

async fn kill_postgres(cluster: &Arc<Cluster>) -> Result<Injected> {
    let begun = clock::now();
    signal("-KILL", postmaster(cluster)?).await?;
    start_postgres(cluster).await?;
    Ok(Injected::since(begun))
}

async fn terminate_backends(url: &str) -> Result<Injected> {
    let mut conn = connect_as_fault(url).await?;
    let begun = clock::now();
    terminate_others(&mut conn).await?;
    Ok(Injected::since(begun))
}

/// Takes what is free, then what the workers have, and keeps it all. They get what they snatch, for a moment.
async fn exhaust_connections(url: &str) -> Result<Injected> {
    let begun = clock::now();
    let mut taken = take_free(url).await?;
    let end = Instant::now() + EXHAUSTED;
    let mut grabbers = JoinSet::new();
    for _ in 0..GRABBERS {
        let url = url.to_owned();
        grabbers.spawn(async move {
            let mut taken = Vec::new();
            while Instant::now() < end {
                taken.extend(take_free(&url).await?);
                sleep(Duration::from_millis(5)).await;
            }
            anyhow::Ok(taken)
        });
    }
    let first = taken.first_mut().context("the server had no connection left before")?;
    // Again and again, since the workers are quick to connect anew and win some of the races.
    while Instant::now() < end {
        terminate_others(first).await?;
        sleep(TAKE_EVERY).await;
    }
    // The values keep the connections until here.
    let grabbed = grabbers.join_all().await.into_iter().collect::<Result<Vec<_>>>()?;
    drop((taken, grabbed));
    Ok(Injected::since(begun))
}

/// Opens connections until the server refuses one.
async fn take_free(url: &str) -> Result<Vec<PgConnection>> {
    let mut taken = Vec::new();
    loop {
        match connect_as_fault(url).await {
            Ok(conn) => taken.push(conn),
            // 53300: too many connections.
            Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some("53300") => return Ok(taken),
            Err(error) => return Err(error).context("taking all connections"),
        }
    }
}

async fn stop_postgres(cluster: &Arc<Cluster>) -> Result<Injected> {
    let begun = clock::now();
    let end = Instant::now() + OUTAGE;
    // A stop in order, "fast" in the words of pg_ctl.
    signal("-INT", postmaster(cluster)?).await?;
    sleep_until(end).await;
    start_postgres(cluster).await?;
    Ok(Injected::since(begun))
}

/// The name under which the faults connect, so that they spare themselves.
const OWN_NAME: &str = "fault";

async fn connect_as_fault(url: &str) -> Result<PgConnection, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    PgConnection::connect_with(&options.application_name(OWN_NAME)).await
}

/// Terminates all sessions but those of the fault, in all databases: those of the workers, and that which
/// enqueues.
async fn terminate_others(conn: &mut PgConnection) -> Result<()> {
    let terminate = format!(
        "select pg_terminate_backend(pid) from pg_stat_activity
         where backend_type = 'client backend' and application_name <> '{OWN_NAME}'"
    );
    sql::execute(conn, terminate).await
}

fn postmaster(cluster: &Cluster) -> Result<u32> {
    cluster.postmaster_pid().context("Postgres does not run")
}

/// Starts Postgres in the same place, and comes back when it takes connections.
async fn start_postgres(cluster: &Arc<Cluster>) -> Result<()> {
    let cluster = cluster.clone();
    let started = spawn_blocking(move || cluster.ensure_running()).await??;
    ensure!(started, "Postgres was not stopped, or somebody else started it");
    Ok(())
}
