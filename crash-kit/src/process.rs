use std::{
    process::{Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{io::AsyncReadExt, process::Child};

use crate::{DATABASE_URL, DIRECT_URL};

/// How much of what a worker wrote is kept.
const LOG_BYTES_MAX: usize = 64 * 1024;

/// A worker process. It is killed with the value.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    child: Child,
    log: Arc<Mutex<Vec<u8>>>,
}

impl WorkerProcess {
    /// Starts a worker whose database is at `url`, and directly at `direct_url`.
    pub(crate) fn start(mut command: Command, url: &str, direct_url: &str) -> Result<Self> {
        command.env(DATABASE_URL, url).env(DIRECT_URL, direct_url);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut child = command.kill_on_drop(true).spawn().context("starting the worker process")?;
        let log = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stderr) = child.stderr.take() {
            let log = log.clone();
            // Ends with the process; what is beyond the limit is read all the same, or the process would
            // wait.
            tokio::spawn(async move {
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    let room = LOG_BYTES_MAX.saturating_sub(log.len());
                    log.extend_from_slice(&chunk[..count.min(room)]);
                }
            });
        }
        Ok(Self { child, log })
    }

    /// Waits until it ends, by itself or because it was asked to.
    pub(crate) async fn ended(&mut self) -> Result<ExitStatus> {
        self.child.wait().await.context("waiting for the worker process")
    }

    /// Asks it to leave in good order.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        // No id: it has ended.
        let Some(id) = self.child.id() else { return Ok(()) };
        kill(Pid::from_raw(id.cast_signed()), Signal::SIGTERM).context("signalling the worker process")
    }

    /// `kill -9`; returns when it is gone.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("killing the worker process")
    }

    /// What it wrote to its standard error so far.
    pub(crate) fn log(&self) -> String {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).into_owned()
    }
}
