//! The processes: this program, started again with a hidden command.

use std::process::Stdio;

use anyhow::Result;
use tokio::process::{Child, Command};

/// How many there always are.
pub(crate) const SIZE: usize = 4;

/// So many processes with the same arguments. They are killed with the value.
#[derive(Debug)]
pub(crate) struct Fleet {
    arguments: Vec<String>,
    processes: Vec<Child>,
}

impl Fleet {
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut fleet = Self { arguments, processes: Vec::new() };
        for _ in 0..SIZE {
            fleet.start_one()?;
        }
        Ok(fleet)
    }

    fn start_one(&mut self) -> Result<()> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null());
        self.processes.push(command.kill_on_drop(true).spawn()?);
        Ok(())
    }

    /// Kills the one that has lived for longest, and starts another one in its place, as a supervisor would.
    pub(crate) async fn kill_one(&mut self) -> Result<()> {
        self.processes.remove(0).kill().await?;
        self.start_one()
    }

    pub(crate) async fn kill_all(mut self) -> Result<()> {
        for process in &mut self.processes {
            process.kill().await?;
        }
        Ok(())
    }
}
