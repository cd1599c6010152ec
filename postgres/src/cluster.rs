//! The locks that let processes share a server.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};

use crate::{
    postmaster,
    programs::Programs,
    server::{Durability, Server, StopMode},
};

/// A use of the cluster in some directory, by this process.
///
/// Several processes, and several values in one process, can use the same cluster. The last one to be dropped
/// stops the server, which blocks for about 0.1 s. After a `kill -9` the server runs on; the next process
/// that uses the directory joins it, and stops it if it is then the last one.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    /// Locked shared for the life of this value. `None` for a user who does not count: one that leaves the
    /// server running.
    users: Option<File>,
}

/// How [`Cluster::restart`] stops the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMode {
    /// In order: ends the sessions and writes everything out.
    Fast,
    /// As a crash: the server recovers from its log when it starts.
    Immediate,
}

impl Cluster {
    /// Starts the cluster below `root`, or joins the one that another process runs there. `root` and its
    /// parents are made if missing.
    ///
    /// Takes the gate lock, so it waits while another process starts or stops this cluster. Blocking: about 2
    /// ms to join, 0.2 s to start, and some seconds the first time, or longer to recover after a crash. Call
    /// it through `spawn_blocking` in async code.
    ///
    /// The cluster has its own directory for each major version of Postgres. Durable data stay with the
    /// version that made them: its programs are taken, even where newer ones are found.
    ///
    /// # Errors
    /// When there are no programs to run (see [`Programs::find`]), the directory cannot be used, or the
    /// server does not start: then with the end of its log.
    pub fn start(root: &Path, durability: Durability) -> Result<Self> {
        let mut cluster = Self::prepare(root, durability)?;
        let gate = cluster.gate()?;
        let users = cluster.lock_file("users.lock")?;
        // Nobody holds it exclusively but who has the gate, so this does not wait.
        users.lock_shared()?;
        cluster.server.bring_up()?;
        cluster.users = Some(users);
        drop(gate);
        Ok(cluster)
    }

    /// As [`Cluster::start`], but does not count as a user: the server runs on when the value is dropped.
    #[cfg(feature = "testing")]
    pub(crate) fn start_and_leave_running(root: &Path, durability: Durability) -> Result<Self> {
        let cluster = Self::prepare(root, durability)?;
        cluster.ensure_running()?;
        Ok(cluster)
    }

    /// Stops the clusters below `root` if they are not in use, and returns whether that was so. Blocking, but
    /// does not wait for others.
    #[cfg(feature = "testing")]
    pub(crate) fn stop_unused(root: &Path) -> Result<bool> {
        let mut unused = false;
        for major in majors(root) {
            let directory = root.join(format!("pg{major}"));
            let (gate, users) = (directory.join("gate.lock"), directory.join("users.lock"));
            // Before they exist, somebody is about to use it.
            let (Ok(gate), Ok(users)) = (File::open(gate), File::open(users)) else { return Ok(false) };
            if gate.try_lock().is_err() || users.try_lock().is_err() {
                return Ok(false);
            }
            let programs = Programs::find_major(Some(major))?;
            Server::prepare(root, programs, Durability::Throwaway)?.stop(StopMode::Immediate)?;
            unused = true;
        }
        Ok(unused)
    }

    fn prepare(root: &Path, durability: Durability) -> Result<Self> {
        let root = std::path::absolute(root)?;
        let major = if durability == Durability::Durable { newest_data(&root) } else { None };
        let programs = Programs::find_major(major).with_context(|| match major {
            None => format!("no database can be started in {}", root.display()),
            Some(major) => format!(
                "the database in {} cannot be started. Install PostgreSQL {major}, or set RESUME_PG_BIN to \
                 the directory with its programs, or RESUME_DATA_DIR to another directory to begin with an \
                 empty database",
                root.join(format!("pg{major}")).display()
            ),
        })?;
        Ok(Self { server: Server::prepare(&root, programs, durability)?, users: None })
    }

    /// Starts the server again if it does not run, and returns whether that was so.
    ///
    /// For the long-running: a `kill -9` of the postmaster ends the server for all its users, so each of them
    /// calls this now and then, and the first one starts it. Costs one connection (2 ms) while the server
    /// runs. Else it takes the gate lock and blocks until the server has recovered.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn ensure_running(&self) -> Result<bool> {
        if self.server.is_up()? {
            return Ok(false);
        }
        let gate = self.gate()?;
        let started = self.server.bring_up()?;
        drop(gate);
        Ok(started)
    }

    /// Stops the server in the given way and starts it again, for all its users. Takes the gate lock;
    /// blocking, for about 0.5 s.
    ///
    /// # Errors
    /// When it does not stop, or does not start.
    pub fn restart(&self, mode: RestartMode) -> Result<()> {
        let gate = self.gate()?;
        self.server.stop(match mode {
            RestartMode::Fast => StopMode::Fast,
            RestartMode::Immediate => StopMode::Immediate,
        })?;
        self.server.bring_up()?;
        drop(gate);
        Ok(())
    }

    /// The URL of a database of this cluster, for sqlx and for `psql`. The name is not checked: the database
    /// need not exist.
    pub fn url(&self, database: &str) -> String {
        let socket_dir = self.server.socket_dir().to_string_lossy();
        // With the port, because else the variable PGPORT counts.
        format!(
            "postgresql://postgres@localhost:5432/{}?host={}",
            percent_encode(database),
            percent_encode(&socket_dir)
        )
    }

    /// The directory of the server's socket: `psql -h <this> -U postgres`.
    pub fn socket_dir(&self) -> &Path {
        self.server.socket_dir()
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        self.server.data()
    }

    /// The programs that this cluster runs with.
    pub fn programs(&self) -> &Programs {
        self.server.programs()
    }

    /// The process number in `postmaster.pid`, if there is such a file. After a `kill -9` it names a dead
    /// process.
    pub fn postmaster_pid(&self) -> Option<u32> {
        postmaster::pid(self.server.data())
    }

    /// Locks the gate until the value is dropped. Waits for who has it.
    fn gate(&self) -> Result<File> {
        let gate = self.lock_file("gate.lock")?;
        gate.lock()?;
        Ok(gate)
    }

    fn lock_file(&self, name: &str) -> Result<File> {
        let path = self.server.directory().join(name);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = options.open(&path).with_context(|| {
            let path = path.display();
            format!(
                "cannot open {path}; does it belong to another user? RESUME_DATA_DIR chooses another place"
            )
        })?;
        // The user who runs the server may be among those who share it.
        self.server.owner().take(&path)?;
        Ok(file)
    }

    /// Stops the server unless others use it.
    fn leave(&self, users: &File) -> Result<()> {
        let gate = self.gate()?;
        users.unlock()?;
        if users.try_lock().is_ok() {
            self.server.stop(StopMode::Fast)?;
        }
        drop(gate);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(users) = self.users.take() else { return };
        // A server that runs on does no harm: the next user joins it.
        if let Err(error) = self.leave(&users) {
            tracing::warn!("cannot leave the database in {}: {error:#}", self.server.directory().display());
        }
    }
}

/// The newest major version that has data below `root`.
fn newest_data(root: &Path) -> Option<u32> {
    majors(root).into_iter().filter(|major| root.join(format!("pg{major}/data")).is_dir()).max()
}

/// The major versions that have a directory below `root`.
fn majors(root: &Path) -> Vec<u32> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.strip_prefix("pg")?.parse().ok()).collect()
}

/// Encodes all bytes but those that RFC 3986, section 2.3, calls unreserved.
fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
