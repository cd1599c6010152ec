//! How a run ended, and what must be true of every one.

use anyhow::{Context, Result};
use sqlx::PgPool;

use crate::{Invariant, scenario::Holds, sql::texts};

/// Notes which jobs were accepted before any worker began.
pub(crate) const NOTE_ACCEPTED: &str =
    "create schema crash_kit; create table crash_kit.accepted as select id from jobs";

/// How many attempts the jobs of each kind took at most.
const MOST_ATTEMPTS: &str = "select kind, max(attempt) as most from jobs group by kind order by kind";

/// What must be true of every scenario.
fn always() -> Vec<Invariant> {
    vec![
        Invariant::no_rows(
            "every accepted job is still known",
            "select id from crash_kit.accepted where id not in (select id from jobs)",
        ),
        Invariant::no_rows(
            "every job ended, and once",
            "select id, kind, json_agg(state) as states from jobs group by id, kind \
             having count(*) > 1 or bool_or(finished_at is null)",
        ),
        Invariant::no_rows(
            "nothing waits",
            "select id, kind, state, run_at, worker from jobs where finished_at is null",
        ),
        Invariant::no_rows(
            "no schedule is due",
            "select name, next_at from queue.schedules where enabled and next_at <= now()",
        ),
        Invariant::no_rows(
            "no lease outlives its worker",
            "select id, name, heartbeat_at from queue.workers where stopped_at is null",
        ),
        // A snooze and a hand-back return their attempt, so every one that is left failed, or is the one that
        // succeeded.
        Invariant::no_rows(
            "attempts are the failures and the success",
            "select id, kind, state, attempt, errors from jobs \
             where state in ('completed', 'discarded') and \
             attempt <> jsonb_array_length(coalesce(errors, '[]')) + (state = 'completed')::integer",
        ),
        // The end by request is noted among them, and is none.
        Invariant::no_rows(
            "failures are numbered, each once",
            "select id, kind, errors from jobs, lateral ( \
                 select array_agg((e ->> 'attempt')::integer order by ord) as numbers \
                 from jsonb_array_elements(coalesce(errors, '[]')) with ordinality as x (e, ord) \
                 where e ->> 'code' is distinct from 'cancelled_by_request') failures \
             where numbers <> (select array_agg(n) from generate_series(1, cardinality(numbers)) n)",
        ),
        Invariant::no_rows(
            "no job took more attempts than it may",
            "select id, kind, attempt, max_attempts from jobs where attempt > max_attempts",
        ),
        // Follow-ups and jobs enqueued by jobs among them: one too few or too many shows here.
        Invariant::same_rows(
            "as many jobs of each kind ended in each way",
            "select kind, state, count(*) from jobs group by kind, state order by kind, state",
        ),
    ]
}

/// What is left when all is done.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// Each invariant and the rows of its query.
    results: Vec<(Invariant, Vec<String>)>,
    most_attempts: Vec<(String, i64)>,
}

impl Ending {
    /// Looks at a database in which nothing happens any more.
    pub(crate) async fn read(pool: &PgPool, invariants: Vec<Invariant>) -> Result<Self> {
        let mut results = Vec::new();
        for invariant in always().into_iter().chain(invariants) {
            let query = format!("select row_to_json(t)::text from ({}) t", invariant.sql);
            let rows = texts(pool, query).await.with_context(|| format!("invariant {:?}", invariant.name))?;
            results.push((invariant, rows));
        }
        let most = format!("select kind || ' ' || most from ({MOST_ATTEMPTS}) t");
        let most = texts(pool, most).await?;
        let most_attempts = most.iter().filter_map(|text| {
            let (kind, most) = text.rsplit_once(' ')?;
            Some((kind.to_owned(), most.parse().ok()?))
        });
        Ok(Self { most_attempts: most_attempts.collect(), results })
    }

    /// What is wrong, by itself and beside the undisturbed run.
    pub(crate) fn violations(&self, undisturbed: Option<&Self>) -> Vec<String> {
        let mut violations = Vec::new();
        for (index, (invariant, rows)) in self.results.iter().enumerate() {
            let name = &invariant.name;
            match (invariant.holds, undisturbed.and_then(|other| other.results.get(index))) {
                (Holds::WithoutRows, _) if !rows.is_empty() => {
                    violations.push(format!("{name}: {}", rows.join(" ")))
                }
                (Holds::AsUndisturbed, Some((_, expected))) if rows != expected => {
                    violations.push(format!("{name}: {}", difference(expected, rows)));
                }
                _ => {}
            }
        }
        for (kind, most) in &self.most_attempts {
            let before = undisturbed.and_then(|other| other.most_attempts.iter().find(|(k, _)| k == kind));
            if let Some((_, expected)) = before
                && *most > expected + 1
            {
                violations
                    .push(format!("one crash took more than one attempt: {kind} {most}, not {expected} + 1"));
            }
        }
        violations
    }
}

fn difference(expected: &[String], rows: &[String]) -> String {
    let missing = expected.iter().filter(|row| !rows.contains(row)).map(|row| format!("- {row}"));
    let new = rows.iter().filter(|row| !expected.contains(row)).map(|row| format!("+ {row}"));
    let all: Vec<String> = missing.chain(new).collect();
    if all.is_empty() { "the order differs".to_owned() } else { all.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(rows: &[&str], most: i64) -> Ending {
        let rows = rows.iter().map(|row| (*row).to_owned()).collect();
        let results = vec![(Invariant::same_rows("same", ""), rows)];
        Ending { results, most_attempts: vec![("work".to_owned(), most)] }
    }

    #[test]
    fn an_ending_is_compared_to_the_undisturbed_one() {
        let undisturbed = ending(&["a", "b"], 2);
        assert_eq!(ending(&["a", "b"], 3).violations(Some(&undisturbed)), Vec::<String>::new());
        assert_eq!(ending(&["a", "c"], 2).violations(Some(&undisturbed)), ["same: - b + c"]);
        assert_eq!(
            ending(&["a", "b"], 4).violations(Some(&undisturbed)),
            ["one crash took more than one attempt: work 4, not 2 + 1"]
        );
    }
}
