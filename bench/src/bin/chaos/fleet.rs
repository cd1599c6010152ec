//! The worker processes: this program, started again with a hidden command.

use std::{process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use bench::sql;
use sqlx::PgConnection;
use tokio::process::{Child, Command};

use crate::{
    clock::{self, Micros},
    worker,
};

/// How many workers there always are.
pub(crate) const SIZE: usize = 4;

/// How long a worker may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Four worker processes on one database. They end with the value, however that goes.
#[derive(Debug)]
pub(crate) struct Fleet {
    url: String,
    lease: Duration,
    workers: Vec<Child>,
    dice: Dice,
}

/// A `kill -9`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kill {
    pub(crate) pid: u32,
    pub(crate) at: Micros,
    /// Whether it led, and so would have been the one to take back the jobs of others.
    pub(crate) led: bool,
}

impl Fleet {
    pub(crate) fn start(url: &str, lease: Duration, seed: u64) -> Result<Self> {
        let mut fleet = Self { url: url.to_owned(), lease, workers: Vec::new(), dice: Dice(seed) };
        for _ in 0..SIZE {
            fleet.workers.push(fleet.start_one()?);
        }
        Ok(fleet)
    }

    fn start_one(&self) -> Result<Child> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("work").args(["--url", &self.url]).arg(format!("--lease-s={}", self.lease.as_secs()));
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true).spawn()?)
    }

    /// Kills a worker, any of them, and starts another one in its place, as a supervisor would.
    pub(crate) async fn kill_one(&mut self, conn: &mut PgConnection) -> Result<Kill> {
        let mut victim = self.workers.swap_remove(self.dice.roll(SIZE));
        let pid = victim.id().context("a worker ended by itself")?;
        let led = format!(
            "select count(*) from queue.leader l join queue.workers w on w.id = l.worker_id where w.name = '{}'",
            worker::name(pid)
        );
        let led = sql::number(conn, led).await? > 0;
        let at = clock::now();
        victim.kill().await?;
        self.workers.push(self.start_one()?);
        Ok(Kill { pid, at, led })
    }

    /// The process id of a worker, any of them.
    pub(crate) fn pick(&mut self) -> Result<u32> {
        let pick = self.dice.roll(SIZE);
        self.workers.get(pick).and_then(Child::id).context("a worker ended by itself")
    }

    /// Tells all workers to end, and waits until they have.
    pub(crate) async fn stop(mut self) -> Result<()> {
        // Its end of the pipe: a worker ends with its input.
        self.workers.iter_mut().for_each(|worker| drop(worker.stdin.take()));
        for mut worker in self.workers {
            let status = tokio::time::timeout(PATIENCE, worker.wait()).await;
            let status = status.context("a worker does not end")??;
            ensure!(status.success(), "a worker failed: {status}");
        }
        Ok(())
    }
}

/// Sends a signal to a process.
pub(crate) async fn signal(name: &str, pid: u32) -> Result<()> {
    let status = Command::new("kill").args([name, &pid.to_string()]).status().await?;
    ensure!(status.success(), "kill {name} {pid} failed");
    Ok(())
}

/// Chance that comes out the same each time: splitmix64, <https://prng.di.unimi.it/splitmix64.c>.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % sides as u64) as usize
    }
}
