//! What `postmaster.pid` is worth.
//!
//! Postgres refuses to start while the process named in that file, or in the one beside its socket, exists.
//! After a `kill -9` the file stays, and the process may seem to exist for ever: as a zombie where nobody
//! reaps it (a container without an init), or as another program that got the same number (a container
//! started again on the same volume). Both are told apart from a living postmaster here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};

use crate::root::SOCKET_FILE;

/// What runs on a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Postmaster {
    /// Nothing: no pid file, or one whose process is gone, which Postgres sorts out by itself.
    None,
    /// A postmaster, perhaps still starting or already stopping.
    Alive,
    /// Nothing, but the process number in the pid file is taken, so that Postgres would refuse to start.
    Stale(u32),
}

/// Reads the process number from the pid file of the data directory `data`.
pub(crate) fn pid(data: &Path) -> Option<u32> {
    first_line(&pid_file(data))
}

fn first_line(file: &Path) -> Option<u32> {
    let file = fs::read_to_string(file).ok()?;
    file.lines().next()?.trim().parse().ok().filter(|pid| *pid > 0)
}

/// Finds out what runs on the data directory `data`. The caller holds the gate lock.
pub(crate) fn inspect(data: &Path) -> Postmaster {
    holder(&pid_file(data), data)
}

/// Removes the lock files of a server on `data` with its socket in `socket_dir` that name a process which is
/// no postmaster. The caller holds the gate lock.
///
/// Postgres still refuses to start while a process of the old server is attached to its shared memory,
/// because it finds that memory by the data directory's inode, too.
pub(crate) fn remove_stale_files(data: &Path, socket_dir: &Path) -> std::io::Result<()> {
    for file in [pid_file(data), socket_dir.join(format!("{SOCKET_FILE}.lock"))] {
        if let Postmaster::Stale(pid) = holder(&file, data) {
            tracing::info!(pid, "{} names a process that is no running server: removed", file.display());
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn pid_file(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// Finds out who holds a lock file of the server on `data`: its first line is a process number.
fn holder(file: &Path, data: &Path) -> Postmaster {
    let Some(pid) = first_line(file) else { return Postmaster::None };
    let Ok(number) = i32::try_from(pid) else { return Postmaster::None };
    if kill(Pid::from_raw(number), None) == Err(Errno::ESRCH) {
        return Postmaster::None;
    }
    match command_line(pid) {
        Some(line) if line.contains(&*data.to_string_lossy()) => Postmaster::Alive,
        Some(_) => Postmaster::Stale(pid),
        // We cannot see it: leave the verdict to PostgreSQL.
        None => Postmaster::None,
    }
}

/// Reads the command line of a process; empty for a zombie.
fn command_line(pid: u32) -> Option<String> {
    if Path::new("/proc/self/cmdline").exists() {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&line).into_owned());
    }
    let mut ps = Command::new("/bin/ps");
    ps.args(["-o", "stat=,command=", "-p", &pid.to_string()]).stdin(Stdio::null());
    let output = String::from_utf8(ps.output().ok()?.stdout).ok()?;
    let line = output.trim();
    Some(if line.starts_with('Z') { String::new() } else { line.to_owned() })
}
