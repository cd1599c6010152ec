use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use resume_core::{
    call_limit::{Evidence, Period, Survey},
    db::PgPool,
    source::definition::Limit,
};

use crate::{database::bounded, problem::Problem};

/// How long a ledger is read for one request: some million calls.
const READING_MAX: Duration = Duration::from_secs(10);

/// What the ledger proves of the calls to a source in a period.
///
/// # Errors
/// A problem that names the longest period where there are too many calls to read; and the database's.
pub(super) async fn evidence(
    pool: &PgPool,
    source: &str,
    period: Period,
    limits: &[Limit],
) -> Result<Evidence, Problem> {
    evidence_within(READING_MAX, pool, source, period, limits).await
}

async fn evidence_within(
    reading_max: Duration,
    pool: &PgPool,
    source: &str,
    period: Period,
    limits: &[Limit],
) -> Result<Evidence, Problem> {
    let begun = Instant::now();
    let mut survey = Survey::new(source, period, limits);
    while bounded(survey.go_on(pool)).await? {
        if begun.elapsed() >= reading_max {
            return Err(too_long(period.from, survey.until()));
        }
    }
    Ok(survey.evidence())
}

/// What is said of a period whose calls were read up to here only.
fn too_long(from: DateTime<Utc>, until: DateTime<Utc>) -> Problem {
    let read = until - from;
    // A round time, but not so round that nothing is left.
    let unit = if read < TimeDelta::minutes(1) { 1 } else { 60 };
    let seconds = (read.num_seconds() / unit * unit).max(1);
    let longest = humantime::format_duration(Duration::from_secs(seconds.unsigned_abs()));
    let detail = format!(
        "there are too many calls in the period: those of its first {longest} can be read for one request. Ask for {longest} at most"
    );
    Problem::invalid_field("to", detail)
}

#[cfg(test)]
mod tests {
    use resume_core::db::migrators;
    use resume_postgres::testing::TestDatabase;

    use super::*;

    #[tokio::test]
    async fn a_period_with_too_many_calls_is_refused() {
        let database = TestDatabase::new(&migrators()).await.unwrap();
        let fill = "insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, waited_ms, ended_at)
                    select 'busy', 1, gen_random_uuid(), 1, to_timestamp(1600000000 + n), n % 7, now()
                    from generate_series(0, 100000) n";
        sqlx::raw_sql(fill).execute(database.pool()).await.unwrap();
        let from = DateTime::from_timestamp(1_600_000_000, 0).unwrap();
        let period = Period { from, to: from + TimeDelta::days(2) };
        let read = |reading_max| evidence_within(reading_max, database.pool(), "busy", period, &[]);
        let problem = read(Duration::ZERO).await.unwrap_err();
        assert!(problem.to_string().ends_with("Ask for 1day 3h 46m at most"), "{problem}");
        let whole = read(READING_MAX).await.unwrap();
        assert_eq!((whole.calls, whole.most_in_any_second, whole.waited_ms_half), (100_001, 1, 3));
    }

    #[test]
    fn the_longest_period_is_told() {
        for (seconds, expected) in [(0, "1s"), (59, "59s"), (61, "1m"), (100_000, "1day 3h 46m")] {
            let problem = too_long(DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds));
            assert_eq!(problem.status(), 400);
            assert!(problem.to_string().ends_with(&format!("Ask for {expected} at most")), "{problem}");
        }
    }
}
