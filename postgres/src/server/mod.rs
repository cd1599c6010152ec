//! Makes, starts and stops the server of one directory.
//!
//! Nothing here takes a lock: the caller holds the gate lock for everything that changes something.

mod data;
mod log;

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{
    command,
    owner::Owner,
    ping::{Answer, ping},
    postmaster::{self, Postmaster},
    programs::Programs,
    root,
};

/// How long a server may take to start. Recovery after a crash reads up to `max_wal_size` (1 GB) of log,
/// twice that at worst.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a fast stop may take: it writes out `shared_buffers` (128 MB).
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long leftovers of a killed server may keep a new one from starting: its processes notice within a
/// moment, but one that computes finishes its step first.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(30);
/// How often to ask a server that is starting or stopping.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// What a crash of the machine may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed: Postgres's own settings (`fsync`, `synchronous_commit`, `full_page_writes`
    /// on).
    Durable,
    /// Everything: `fsync` and `full_page_writes` are off, and a data directory that does not start any more
    /// is made anew. For tests and benchmarks. A crash of Postgres alone still costs nothing that was
    /// committed, so that tests can crash it.
    Throwaway,
}

/// How to stop a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopMode {
    /// Ends the sessions and writes everything out.
    Fast,
    /// As a crash: the next start recovers.
    Immediate,
}

/// The server of one directory, running or not.
#[derive(Debug)]
pub(crate) struct Server {
    /// `<root>/pg<major>`, canonical.
    directory: PathBuf,
    data: PathBuf,
    socket_dir: PathBuf,
    programs: Programs,
    owner: Owner,
    durability: Durability,
}

impl Server {
    /// Makes the directory for a server below `root` and checks that it can serve.
    pub(crate) fn prepare(root: &Path, programs: Programs, durability: Durability) -> Result<Self> {
        let name = format!("pg{}", programs.major());
        let owner = Owner::of(&root.join(&name).join("data"))?;
        // Below root's directory another user runs the server and must be able to walk there.
        root::make_directory(root, if owner.switch { 0o755 } else { 0o700 })?;
        // Canonical, so that processes which spell it in different ways mean the same server.
        let root = fs::canonicalize(root).with_context(|| format!("cannot find {}", root.display()))?;
        let directory = root.join(name);
        let socket_dir = directory.join("s");
        root::check_path(&directory, &socket_dir)?;
        root::make_directory(&directory, 0o700)?;
        owner.take(&directory)?;
        let data = directory.join("data");
        Ok(Self { directory, data, socket_dir, programs, owner, durability })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    pub(crate) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// Tells whether the server takes connections. Needs no lock.
    pub(crate) fn is_up(&self) -> Result<bool> {
        Ok(self.ask()? == Answer::Up)
    }

    fn ask(&self) -> Result<Answer> {
        ping(&self.socket_dir).with_context(|| {
            let directory = self.socket_dir.display();
            format!("cannot use the database's socket in {directory}; does it belong to another user?")
        })
    }

    /// Brings the server up, making its data first if there are none; returns whether it had to be started.
    pub(crate) fn bring_up(&self) -> Result<bool> {
        let outcome = self.wait_or_launch();
        let Err(error) = &outcome else { return outcome };
        if self.durability == Durability::Durable || !self.data.exists() || self.is_alive() {
            return outcome;
        }
        // Without fsync a crash of the machine may leave anything behind, and nobody wants these data back.
        tracing::warn!("the throwaway database does not start and is made anew: {error:#}");
        fs::remove_dir_all(&self.data)?;
        self.wait_or_launch()
    }

    fn is_alive(&self) -> bool {
        postmaster::inspect(&self.data) == Postmaster::Alive
    }

    /// Waits until the server is up, launching it whenever there is none; returns whether that was needed.
    fn wait_or_launch(&self) -> Result<bool> {
        let begun = Instant::now();
        let mut launched = false;
        loop {
            match self.ask()? {
                Answer::Up => return Ok(launched),
                Answer::Busy => {}
                // Its starter was killed, or it is stopping.
                Answer::Down if self.is_alive() => {}
                Answer::Down => {
                    self.launch(begun)?;
                    launched = true;
                }
            }
            ensure!(
                begun.elapsed() < START_TIMEOUT,
                "the database did not come up in {} s; the end of {}:\n{}",
                START_TIMEOUT.as_secs(),
                self.log().display(),
                self.log_since(0)
            );
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Starts the server, unless leftovers of a killed one are still in the way: then the caller asks again.
    fn launch(&self, begun: Instant) -> Result<()> {
        command::check_reach(&self.programs.postgres(), &self.directory, self.owner)?;
        self.make_data()?;
        self.write_settings()?;
        postmaster::remove_stale_files(&self.data, &self.socket_dir)?;
        let log = self.log();
        let written = self.put_aside_a_large_log()?;
        let timeout = START_TIMEOUT.as_secs().to_string();
        let arguments: [&dyn AsRef<OsStr>; 9] =
            [&"start", &"-s", &"-w", &"-t", &timeout, &"-D", &self.data, &"-l", &log];
        let Err(error) = command::run(&self.programs.pg_ctl(), self.owner, &arguments, &self.output("start"))
        else {
            return Ok(());
        };
        let said = self.log_since(written);
        let leftovers = said.contains("pre-existing shared memory block")
            || said.contains("lock file \"postmaster.pid\" already exists");
        if leftovers && begun.elapsed() < LEFTOVERS_TIMEOUT {
            return Ok(());
        }
        Err(error)
            .with_context(|| format!("the database did not start; the end of {}:\n{said}", log.display()))
    }

    /// Stops the server and waits until it is gone.
    pub(crate) fn stop(&self, mode: StopMode) -> Result<()> {
        if postmaster::inspect(&self.data) != Postmaster::Alive {
            return Ok(());
        }
        let mode = match mode {
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        let timeout = STOP_TIMEOUT.as_secs().to_string();
        let arguments: [&dyn AsRef<OsStr>; 9] =
            [&"stop", &"-s", &"-w", &"-t", &timeout, &"-m", &mode, &"-D", &self.data];
        command::run(&self.programs.pg_ctl(), self.owner, &arguments, &self.output("stop"))
    }

    fn output(&self, what: &str) -> PathBuf {
        self.directory.join(format!("{what}.out"))
    }
}
