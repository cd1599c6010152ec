//! Where the measurements take place: one durable cluster with default settings, a fresh database for each
//! system and round, and the processes that act on it.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use bench::cluster::start_cluster;
use resume_postgres::Cluster;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    act::{Report, Role},
    peers::System,
    sql,
};

/// The cluster. Nothing else runs on it.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    /// A connection to the database `postgres`, for what concerns the whole cluster.
    admin: PgConnection,
    databases: u32,
    _directory: TempDir,
}

/// A fresh database with the tables of one system.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) system: System,
    pub(crate) url: String,
    name: String,
}

impl Stage {
    pub(crate) async fn set_up() -> Result<Self> {
        let (directory, cluster) = start_cluster().await?;
        let admin = PgConnection::connect(&cluster.url("postgres")).await?;
        Ok(Self { cluster, admin, databases: 0, _directory: directory })
    }

    pub(crate) async fn take_down(self) -> Result<()> {
        self.admin.close().await?;
        tokio::task::spawn_blocking(move || drop(self.cluster)).await?;
        Ok(())
    }

    /// A database with the tables of `system`, and nothing left to write of what was before.
    pub(crate) async fn database(&mut self, system: System) -> Result<Database> {
        self.databases += 1;
        let name = format!("{system}_{}", self.databases);
        sql::execute(&mut self.admin, format!("create database {name}")).await?;
        let database = Database { system, url: self.cluster.url(&name), name };
        database.play(Role::CreateSchema, &[]).await?;
        self.settle().await?;
        Ok(database)
    }

    /// Makes the next measurement begin like every other: with a checkpoint just behind it.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        sql::execute(&mut self.admin, "checkpoint").await
    }

    pub(crate) async fn drop_database(&mut self, database: Database) -> Result<()> {
        sql::execute(&mut self.admin, format!("drop database {} with (force)", database.name)).await
    }

    /// Has every statement of sessions that begin from now on in the server's log.
    pub(crate) async fn log_statements(&mut self, database: &Database) -> Result<()> {
        sql::execute(&mut self.admin, format!("alter database {} set log_statement = 'all'", database.name))
            .await
    }

    /// All WAL of the cluster so far.
    pub(crate) async fn wal_bytes(&mut self) -> Result<f64> {
        let bytes = "select (pg_current_wal_lsn() - '0/0')::bigint";
        Ok(sql::number(&mut self.admin, bytes).await? as f64)
    }

    /// Processor time of all processes of the server so far: that of the postmaster, which has that of its
    /// dead children, and that of its living ones.
    pub(crate) fn server_processor_seconds(&self) -> Result<f64> {
        let postmaster = self.cluster.postmaster_pid().context("the server is gone")?;
        let mut seconds = bench::processor_seconds_with_children(postmaster)?;
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if bench::parent_of(pid) == Some(postmaster) {
                seconds += bench::processor_seconds(pid).unwrap_or_default();
            }
        }
        Ok(seconds)
    }
}

impl Database {
    /// Starts a process that acts on this database.
    pub(crate) fn start(&self, role: Role, arguments: &[(&str, u64)]) -> Result<Child> {
        let role = clap::ValueEnum::to_possible_value(&role).context("a role without a name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("act").arg(self.system.to_string()).arg(role.get_name()).args(["--url", &self.url]);
        for (name, value) in arguments {
            command.arg(format!("--{name}={value}"));
        }
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?)
    }

    /// Has a process act on this database and gives its report.
    pub(crate) async fn play(&self, role: Role, arguments: &[(&str, u64)]) -> Result<Report> {
        self.report(self.start(role, arguments)?).await
    }

    /// Waits for the end of a process and gives its report. Its input is closed.
    pub(crate) async fn report(&self, mut child: Child) -> Result<Report> {
        drop(child.stdin.take());
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "a process of {} failed", self.system);
        let text = String::from_utf8(output.stdout)?;
        Ok(serde_json::from_str(text.trim().lines().last().unwrap_or_default())?)
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect(&self.url).await?)
    }
}
