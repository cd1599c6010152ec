//! How long the jobs of killed workers waited until they ran again.

use std::fmt;

use anyhow::Result;
use bench::sql;
use sqlx::PgConnection;

use crate::{
    clock::{Micros, seconds},
    fleet::Kill,
    worker::name,
};

/// A killed worker, and what became of the attempts that died with it.
#[derive(Debug)]
pub(crate) struct Rescue {
    kill: Kill,
    /// Seconds from the kill to the start of the next attempt at the same job, by attempt that died.
    pub(crate) waits_s: Vec<f64>,
}

impl Rescue {
    /// The longest wait.
    pub(crate) fn worst_s(&self) -> f64 {
        self.waits_s.iter().copied().fold(0.0, f64::max)
    }

    /// Tells of one kill of those that began at `begun`.
    pub(crate) fn line(&self, begun: Micros) -> impl fmt::Display {
        let led = if self.kill.led { ", which led," } else { "" };
        format!(
            "killed after {:.2} s: a worker{led} with {} jobs; the last of them ran again after {:.2} s",
            seconds(begun, self.kill.at),
            self.waits_s.len(),
            self.worst_s()
        )
    }
}

/// The history of each job names the worker that died with an attempt. The next attempt has started when its
/// handler writes its first row; one that died before it came to that is not counted, but the attempt after
/// it is.
pub(crate) async fn rescue(conn: &mut PgConnection, kill: Kill) -> Result<Rescue> {
    let again = format!(
        "select (extract(epoch from min(s.at)) * 1000000)::bigint
         from queue.job_history h, jsonb_array_elements(h.errors) e, starts s
         where e ->> 'error' like '% (worker {})'
           and s.n = (h.args ->> 'n')::bigint and s.attempt = (e ->> 'attempt')::integer + 1
         group by s.n, s.attempt",
        name(kill.pid)
    );
    let again = sql::numbers(conn, again).await?;
    Ok(Rescue { kill, waits_s: again.into_iter().map(|at| seconds(kill.at, at)).collect() })
}
