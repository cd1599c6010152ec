//! The calls of the last ten seconds.

use std::time::Duration;

use resume_core::call_limit::{self, RecentCalls, recent_calls};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED};

const OURS: Uuid = Uuid::from_u128(1);

/// A call that left so many seconds ago; `code` says why it brought nothing.
async fn call(fixture: &Fixture, collection_id: Uuid, seconds_ago: f64, took_ms: i32, code: Option<&str>) {
    let insert = sqlx::query!(
        "insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, waited_ms, took_ms, code)
         values ($1, 1, $2, 1, now() - make_interval(secs => $3), 0, $4, $5)",
        NUMBERED,
        collection_id,
        seconds_ago,
        took_ms,
        code,
    );
    insert.execute(fixture.pool()).await.unwrap();
}

async fn recent(fixture: &Fixture) -> RecentCalls {
    recent_calls(&mut fixture.pool().acquire().await.unwrap(), NUMBERED, OURS).await.unwrap()
}

#[tokio::test]
async fn only_calls_of_late_that_left_for_this_collection_count() {
    let fixture = Fixture::new().await;
    assert_eq!(recent(&fixture).await, RecentCalls::default());
    for (seconds_ago, took_ms, code) in [
        (0.5, 100, None),
        (1.0, 120, None),
        (2.0, 300, None),
        // One that failed took its time, but not that of an answer.
        (3.0, 30_000, Some("source_timeout")),
        // Not yet, not any more, and not at all.
        (-1.0, 1, None),
        (60.0, 1, None),
        (1.0, 1, Some("permit_missed")),
    ] {
        call(&fixture, OURS, seconds_ago, took_ms, code).await;
    }
    call(&fixture, Uuid::from_u128(2), 1.0, 1, None).await;
    let recent = recent(&fixture).await;
    assert_eq!((recent.calls, recent.latency_ms), (4, Some(120)));
}

#[tokio::test]
async fn what_holds_calls_back_is_told() {
    let fixture = Fixture::new().await;
    let change = async |sql: &'static str| {
        sqlx::raw_sql(sql).execute(fixture.pool()).await.unwrap();
        recent(&fixture).await
    };
    let limited = change(
        "insert into call_limits (source, intervals, tolerances, next_at)
         values ('numbered', '{0.1, 0.5}', '{0, 0}', '{now, now}')",
    );
    let limited = limited.await;
    assert_eq!((limited.limit_per_second, limited.silent_for, limited.is_stopped), (Some(2.0), None, false));
    let slowed = change("update call_limits set pace = 0.5, paced_at = now()").await;
    assert!((1.0..1.1).contains(&slowed.limit_per_second.unwrap()), "{slowed:?}");
    let silent =
        change("update call_limits set silent_until = now() + interval '40 s'").await.silent_for.unwrap();
    assert!((Duration::from_secs(30)..Duration::from_secs(40)).contains(&silent), "{silent:?}");
    assert_eq!(change("update call_limits set silent_until = now() - interval '1 s'").await.silent_for, None);
    assert!(change("update call_limits set open_until = now() + interval '1 s'").await.is_stopped);
    assert!(!change("update call_limits set open_until = null").await.is_stopped);
    let mut conn = fixture.pool().acquire().await.unwrap();
    call_limit::hold(&mut conn, NUMBERED).await.unwrap();
    drop(conn);
    assert!(recent(&fixture).await.is_stopped);
}
