//! Runs the crash kit over handlers of your own: `cargo run -p resume-crash-kit --example own_handlers`.
//!
//! The program is the kit and, with the argument `worker`, the worker process that it crashes.
#![expect(clippy::print_stdout, reason = "the report is for the terminal")]

use std::{env, process::Command, time::Duration};

use anyhow::{Result, ensure};
use apalis::prelude::{BoxDynError, Data, WorkerBuilder};
use resume_crash_kit::{CrashKit, DATABASE_URL, Invariant, Report, Scenario};
use resume_queue::{Job, Lease, QueueConfig, Session, SessionSettings, enqueue};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, raw_sql};
use tokio::signal::unix::{SignalKind, signal};

struct Greetings;

impl Scenario for Greetings {
    type Fixture = ();

    fn name(&self) -> &str {
        "greetings"
    }

    async fn prepare(&self, pool: &PgPool) -> Result<()> {
        let mut conn = pool.acquire().await?;
        raw_sql("create table greetings (text text)").execute(&mut *conn).await?;
        enqueue(&mut conn, &Greet {}).await?;
        Ok(())
    }

    fn worker(&self) -> Command {
        let mut command = Command::new(env::current_exe().unwrap_or_default());
        command.arg("worker");
        command
    }

    fn invariants(&self) -> Vec<Invariant> {
        vec![Invariant::same_rows("one greeting", "select text from greetings")]
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    if env::args().nth(1).is_some_and(|argument| argument == "worker") {
        return worker().await;
    }
    let kit = CrashKit::new(Greetings);
    let report =
        kit.run(|name, point, verdict, took| println!("{}", Report::line(name, point, verdict, took)));
    let report = report.await?;
    println!("{report}");
    ensure!(report.failed() == 0, "something does not survive a crash");
    Ok(())
}

#[derive(Debug, Serialize, Deserialize)]
struct Greet {}

impl Job for Greet {
    const KIND: &'static str = "greet";
}

async fn greet(_: Greet, lease: Data<Lease>, pool: Data<PgPool>) -> Result<(), BoxDynError> {
    let mut tx = pool.begin().await?;
    raw_sql("insert into greetings values ('hello')").execute(&mut *tx).await?;
    lease.complete_in(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

async fn worker() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let pool = PgPool::connect(&env::var(DATABASE_URL)?).await?;
    let session = Session::start(pool.clone(), SessionSettings::default()).await?;
    let backend = session.backend::<Greet>(QueueConfig::fixed(1));
    tokio::spawn(WorkerBuilder::new(Greet::KIND).backend(backend).data(pool).build(greet).run());
    terminate.recv().await;
    session.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
