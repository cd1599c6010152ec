//! The spacing, by random demands at a made-up time.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use resume_core::{
    call_limit::MARGIN,
    db::{PgPool, migrators},
    source::definition::{Interval, Limit},
};
use resume_postgres::testing::TestDatabase;
use std::time::Duration;

/// Somebody asks: so many milliseconds after the one before, for so many calls, so many milliseconds ahead.
#[derive(Debug, Clone, Copy)]
struct Question {
    after_ms: i64,
    callers: i32,
    horizon_ms: i64,
}

fn limits() -> impl Strategy<Value = Vec<Limit>> {
    let limit = (1..40u32, prop_oneof![Just(10u64), Just(250), Just(1000), Just(10_000)], 1..40u32);
    vec(
        limit.prop_map(|(calls, per_ms, burst)| Limit {
            calls,
            per: Interval(Duration::from_millis(per_ms)),
            burst: burst.min(calls),
        }),
        1..4,
    )
}

fn questions() -> impl Strategy<Value = Vec<Question>> {
    let after_ms = prop_oneof![6 => 0..60i64, 2 => 0..1500i64, 1 => 0..30_000i64];
    let question = (after_ms, 1..40i32, 0..120i64).prop_map(|(after_ms, callers, horizon_ms)| Question {
        after_ms,
        callers,
        horizon_ms,
    });
    vec(question, 1..40)
}

/// The interval and the tolerance of a limit in seconds, derived once more.
fn spacing(limit: &Limit) -> (f64, f64) {
    let stretch_us = (limit.per.0 + MARGIN).as_micros() as f64;
    let interval_us = (stretch_us / f64::from(limit.calls + 1 - limit.burst)).ceil();
    (interval_us / 1e6, interval_us * f64::from(limit.burst - 1) / 1e6)
}

/// What [`call_departures`] of the migration answers to all questions.
async fn departures(pool: &PgPool, limits: &[Limit], questions: &[Question]) -> Vec<DateTime<Utc>> {
    let (intervals, tolerances): (Vec<f64>, Vec<f64>) = limits.iter().map(spacing).unzip();
    let mut now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let mut next_at = vec![now; limits.len()];
    let mut all = Vec::new();
    for question in questions {
        now += TimeDelta::milliseconds(question.after_ms);
        let row = sqlx::query!(
            r#"select departures as "departures!", next_at as "next_at!", free_at from call_departures($1, $2, $3, $4, $5, $6)"#,
            &next_at,
            &intervals,
            &tolerances,
            now,
            now + TimeDelta::milliseconds(question.horizon_ms),
            question.callers,
        )
        .fetch_one(pool)
        .await
        .unwrap();
        let until = now + TimeDelta::milliseconds(question.horizon_ms);
        assert!(row.departures.iter().all(|at| (now..=until).contains(at)), "within the horizon");
        assert_eq!(row.free_at.is_none(), row.departures.len() == question.callers as usize);
        assert!(row.free_at.is_none_or(|free_at| free_at > until));
        all.extend(row.departures);
        next_at = row.next_at;
    }
    all
}

/// No stretch of any limit's time, wherever it begins, sees more than its calls; nor does one that is longer
/// by the margin.
fn is_kept(limit: &Limit, departures: &[DateTime<Utc>]) -> bool {
    let stretch = TimeDelta::from_std(limit.per.0 + MARGIN).unwrap();
    departures.windows(limit.calls as usize + 1).all(|calls| *calls.last().unwrap() - calls[0] >= stretch)
}

#[test]
fn no_stretch_sees_more_calls_than_a_limit_allows() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let database = runtime.block_on(TestDatabase::new(&migrators())).unwrap();
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(limits(), questions()), |(limits, questions)| {
        let mut departures = runtime.block_on(departures(database.pool(), &limits, &questions));
        departures.sort();
        for limit in &limits {
            prop_assert!(is_kept(limit, &departures), "{limit:?} is not kept by {departures:?}");
        }
        Ok::<(), TestCaseError>(())
    });
    if let Err(TestError::Fail(why, case)) = outcome {
        panic!("{why}\nthe simplest case found: {case:?}");
    }
    outcome.unwrap();
    runtime.block_on(async { drop(database) });
}

/// Who always wants calls gets the even rate of the slowest limit: calls + 1 - burst in the time and its
/// margin.
#[tokio::test]
async fn constant_demand_gets_the_even_rate() {
    let database = TestDatabase::new(&migrators()).await.unwrap();
    let second = Interval(Duration::from_secs(1));
    let even = |calls, burst| Limit { calls, per: second, burst };
    let slow = Limit { calls: 50, per: Interval(Duration::from_secs(10)), burst: 1 };
    for (limits, per_second) in [
        (vec![even(30, 1)], 30.0 / 1.02),
        (vec![even(30, 11)], 20.0 / 1.02),
        (vec![even(30, 1), slow], 50.0 / 10.02),
    ] {
        // Every 50 ms, 65 ms ahead, for 20 s: as a worker does.
        let questions = vec![Question { after_ms: 50, callers: 16, horizon_ms: 65 }; 400];
        let departures = departures(database.pool(), &limits, &questions).await;
        let span = (*departures.last().unwrap() - departures[0]).as_seconds_f64();
        let rate = (departures.len() - 1) as f64 / span;
        let burst = limits.iter().map(|limit| limit.burst - 1).min().unwrap();
        let most = per_second + f64::from(burst) / span;
        assert!((per_second - 0.01..=most + 0.01).contains(&rate), "{limits:?}: {rate} calls/s");
    }
}
