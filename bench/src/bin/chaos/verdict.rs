//! What must hold when all is over, whatever the fault was.

use anyhow::Result;
use bench::sql;
use sqlx::PgConnection;

use crate::{
    clock::{Micros, seconds},
    worker::name,
};

/// The end of a trial, counted.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// Jobs that were accepted.
    pub(crate) jobs: i64,
    /// Accepted jobs that did not end as completed, once, or are without an effect.
    pub(crate) jobs_lost: i64,
    /// Effects beyond the first of their job.
    pub(crate) duplicated_effects: i64,
    /// Jobs that have not ended: waiting, or running under some lease.
    pub(crate) left_live: i64,
    /// Jobs whose attempts make no sense: more than allowed, or an effect of another attempt than the one
    /// that completed the job, or of one that never started.
    pub(crate) odd_attempts: i64,
    /// Attempts that were used beyond the first of each job.
    pub(crate) extra_attempts: i64,
}

/// What became of the jobs of a worker that stood still.
#[derive(Debug)]
pub(crate) struct Stale {
    /// Jobs that it lost because their leases ran out.
    pub(crate) jobs: i64,
    /// Completions that it tried afterwards, and was refused.
    pub(crate) refused: i64,
    /// Effects of attempts that it had lost.
    pub(crate) effects: i64,
    /// How long after it went on it had an effect again.
    pub(crate) back_s: f64,
}

/// The ended jobs by their number, with a column for each question.
const ENDED: &str = "ended as (
    select (args ->> 'n')::bigint as n, count(*) as ends, bool_and(state = 'completed') as completed,
           max(attempt) as attempt, bool_or(attempt not between 1 and max_attempts) as odd,
           sum(attempt - 1) as extra
    from queue.job_history group by 1
), done as (
    select n, count(*) as effects, max(attempt) as attempt from effects group by 1
)";

pub(crate) async fn verdict(conn: &mut PgConnection) -> Result<Verdict> {
    let lost = format!(
        "with {ENDED} select count(*) from requests left join ended using (n) left join done using (n)
         where not coalesce(ends = 1 and completed and effects >= 1, false)"
    );
    let odd = format!(
        "with {ENDED}, unstarted as (select n, attempt, pid from effects except select n, attempt, pid from starts)
         select count(*) filter (where odd or done.attempt <> ended.attempt)
                + (select count(*) from unstarted)
         from ended left join done using (n)"
    );
    let extra = format!("with {ENDED} select sum(extra)::bigint from ended");
    let duplicated = "select count(*) - count(distinct n) from effects";
    Ok(Verdict {
        jobs: sql::number(conn, "select count(*) from requests").await?,
        jobs_lost: sql::number(conn, lost).await?,
        duplicated_effects: sql::number(conn, duplicated).await?,
        left_live: sql::number(conn, "select count(*) from queue.live_jobs").await?,
        odd_attempts: sql::number(conn, odd).await?,
        extra_attempts: sql::number(conn, extra).await?,
    })
}

/// Looks at the attempts that worker `pid` lost while it stood still, until `continued`.
pub(crate) async fn stale(conn: &mut PgConnection, pid: u32, continued: Micros) -> Result<Stale> {
    let lost = format!(
        "with lost as (
            select (args ->> 'n')::bigint as n, (e ->> 'attempt')::integer as attempt
            from queue.job_history, jsonb_array_elements(errors) e
            where e ->> 'error' = 'lease expired (worker {})'
         )",
        name(pid)
    );
    let of =
        |table| format!("{lost} select count(*) from lost join {table} using (n, attempt) where pid = {pid}");
    let back = format!(
        "select (extract(epoch from at) * 1000000)::bigint as at from effects
         where pid = {pid} and at > to_timestamp({continued} / 1e6) order by at limit 1"
    );
    let back = sql::numbers(conn, back).await?.into_iter().next();
    Ok(Stale {
        back_s: back.map_or(f64::INFINITY, |at| seconds(continued, at)),
        jobs: sql::number(conn, format!("{lost} select count(*) from lost")).await?,
        refused: sql::number(conn, of("refusals")).await?,
        effects: sql::number(conn, of("effects")).await?,
    })
}
