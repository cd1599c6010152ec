//! A directory for one test, and looks at what runs in it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};
use resume_postgres::Programs;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, raw_sql};

/// A directory that other users can reach. Removed with this value, or when a later test run finds that its
/// process is gone.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        remove_abandoned();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("{}{}-{number}", prefix(), std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A place for clusters in it, which does not exist yet.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root")
    }

    /// The directory of the one server below [`Scratch::root`].
    pub(crate) fn server(&self) -> PathBuf {
        self.root().join(format!("pg{}", Programs::find().unwrap().major()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a program into it that everybody can run.
    pub(crate) fn script(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Writes programs into it that hand over to the real ones.
    pub(crate) fn programs(&self) {
        for name in ["initdb", "pg_ctl", "postgres"] {
            let real = Programs::find().unwrap().bin_dir().join(name);
            self.script(name, &format!("exec {} \"$@\"", real.display()));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

fn prefix() -> String {
    format!("resume-it-{}-", Uid::effective())
}

fn remove_abandoned() {
    for entry in fs::read_dir(env::temp_dir()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let process = name.strip_prefix(&prefix()).and_then(|rest| rest.split('-').next()?.parse().ok());
        if process.is_some_and(|process| kill(Pid::from_raw(process), None).is_err()) {
            remove(&entry.path());
        }
    }
}

/// Removes a directory with the servers that still run in it.
fn remove(directory: &Path) {
    kill_servers(directory, directory);
    let _ = fs::remove_dir_all(directory);
}

fn kill_servers(below: &Path, scratch: &Path) {
    for entry in fs::read_dir(below).into_iter().flatten().flatten() {
        if let Ok(pid_file) = fs::read_to_string(entry.path().join("postmaster.pid")) {
            let pid: u32 = pid_file.lines().next().and_then(|pid| pid.parse().ok()).unwrap_or_default();
            // The number may be another process's by now.
            let command = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if command.contains(&*scratch.to_string_lossy()) {
                kill_hard(pid);
            }
        } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            kill_servers(&entry.path(), scratch);
        }
    }
}

/// Runs a query and returns the text it yields.
pub(crate) async fn query(url: &str, query: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let row = raw_sql(AssertSqlSafe(query)).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    row.try_get(0).unwrap()
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within a minute.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs; a zombie does not.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
}

/// Kills a process in the way that it cannot notice, and waits until it is gone.
pub(crate) fn kill_hard(pid: u32) {
    kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
    wait_until_gone(pid);
}

/// Waits until a process has ended. A server removes its pid file, which is what others wait for, a moment
/// before.
pub(crate) fn wait_until_gone(pid: u32) {
    wait_until("the process is gone", || !runs(pid));
}
