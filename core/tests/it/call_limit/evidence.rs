//! The ledger, and what it proves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use resume_core::call_limit::{
    self, CallEnd, Ending, LedgerPlace, Period, Void, evidence, keep_ledger, ledger,
};
use sqlx::Connection;
use tokio::task::JoinSet;

use super::{Process, SECOND, ended, limit, plenty};
use crate::fixture::{Fixture, NUMBERED};

/// From long ago to long after.
fn period() -> Period {
    Period { from: DateTime::UNIX_EPOCH, to: DateTime::from_timestamp(4_000_000_000, 0).unwrap() }
}

/// A row of the ledger at so many milliseconds of a day long ago.
async fn call_at(fixture: &Fixture, worker_id: i64, ms: i64) {
    let at = DateTime::from_timestamp_millis(1_600_000_000_000 + ms).unwrap();
    let insert = sqlx::query!(
        "insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, left_at, waited_ms, ended_at, status)
         values ($1, $2, gen_random_uuid(), 1, $3, $3, $4, $3, 200)",
        NUMBERED,
        worker_id,
        at,
        i32::try_from(ms % 100).unwrap(),
    );
    insert.execute(fixture.pool()).await.unwrap();
}

#[tokio::test]
async fn the_busiest_stretches_are_found_wherever_they_begin() {
    let fixture = Fixture::new().await;
    for ms in [0, 500, 900, 1000, 1400, 1499, 9000, 9999, 10_000] {
        call_at(&fixture, 1, ms).await;
    }
    let limits = [limit(4, SECOND), limit(6, 9 * SECOND), limit(9, 60 * SECOND)];
    let evidence = evidence(fixture.pool(), NUMBERED, period(), &limits).await.unwrap();
    // From 500 to 1499; a call that is exactly a second later belongs to the next second.
    assert_eq!(evidence.most_in_any_second, 5);
    assert_eq!(evidence.most_in_any_window.iter().map(|used| used.most).collect::<Vec<_>>(), [5, 6, 9]);
    assert_eq!(evidence.most_in_any_window[1].limit, limits[1]);
    let second = Period {
        from: DateTime::from_timestamp_millis(1_600_000_000_000).unwrap(),
        to: DateTime::from_timestamp_millis(1_600_000_001_000).unwrap(),
    };
    let first = call_limit::evidence(fixture.pool(), NUMBERED, second, &[]).await.unwrap();
    assert_eq!((first.calls, first.calls_per_second, first.most_in_any_second), (3, 3.0, 3));
    let nobody = call_limit::evidence(fixture.pool(), "nobody", period(), &[]).await.unwrap();
    assert_eq!((nobody.calls, nobody.most_in_any_second, nobody.waited_ms_max), (0, 0, 0));
}

#[tokio::test]
async fn every_permit_is_in_the_numbers_once() {
    let fixture = Fixture::new().await;
    let [living, dead] = [Process::start(&fixture).await, Process::start(&fixture).await];
    let late = CallEnd { late: Duration::from_millis(3), status: Some(200), ..ended(Ending::Answered) };
    let permit = living.permit().await;
    living.end(&permit, &plenty(), &late).await;
    living.call(Ending::Failed).await;
    let under_way = living.permit().await;
    dead.permit().await;
    let missed = living.permit().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    call_limit::void(&mut conn, NUMBERED, &missed, Void::Missed).await.unwrap();
    let stop = sqlx::query!("update queue.workers set stopped_at = now() where id = $1", dead.id);
    stop.execute(&mut *conn).await.unwrap();
    let refused = living.permit().await;
    let end = CallEnd { status: Some(429), code: None, ..ended(Ending::Refused) };
    living.end(&refused, &plenty(), &end).await;

    let evidence = evidence(fixture.pool(), NUMBERED, period(), &[]).await.unwrap();
    assert_eq!((evidence.calls, evidence.refused, evidence.failed), (5, 1, 1));
    assert_eq!((evidence.wasted, evidence.missed, evidence.bytes), (1, 1, 30));
    let rows = ledger(fixture.pool(), NUMBERED, period(), None, 10).await.unwrap();
    assert_eq!(rows.len(), 6);
    assert_eq!(rows[0].left_at, Some(rows[0].departs_at + TimeDelta::milliseconds(3)));
    assert_eq!((rows[0].status, rows[0].took_ms, rows[0].code.as_deref()), (Some(200), Some(3), None));
    let row = rows.iter().find(|row| row.id == under_way.id).unwrap();
    assert_eq!((row.ended_at, row.left_at, row.worker_id), (None, None, living.id));
    let codes: Vec<_> = rows.iter().filter_map(|row| row.code.as_deref()).collect();
    assert_eq!(codes, ["failed", "permit_missed", "rate_limited"]);
}

#[tokio::test]
async fn the_ledger_is_read_page_by_page() {
    let fixture = Fixture::new().await;
    // Calls of the same time as well.
    for ms in [5, 1, 1, 1, 9, 2, 2] {
        call_at(&fixture, 1, ms).await;
    }
    let whole = ledger(fixture.pool(), NUMBERED, period(), None, 100).await.unwrap();
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = ledger(fixture.pool(), NUMBERED, period(), after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(LedgerPlace { departs_at: last.departs_at, id: last.id });
        pages.extend(page);
    }
    assert_eq!(pages, whole);
    assert!(whole.is_sorted_by_key(|row| (row.departs_at, row.id)));
}

/// The partitions of the coming days are there, those long past go, and several processes may see to it at
/// once.
#[tokio::test(flavor = "multi_thread")]
async fn the_partitions_are_looked_after() {
    let fixture = Fixture::new().await;
    let partitions = async || {
        let count = sqlx::query_scalar!(
            r#"select count(*) as "count!" from pg_inherits where inhparent = 'call_ledger'::regclass"#
        );
        count.fetch_one(fixture.pool()).await.unwrap()
    };
    keep_ledger(&mut fixture.pool().acquire().await.unwrap()).await.unwrap();
    let kept = partitions().await;
    // Today and a week, and the default one; the template of the database may be of yesterday.
    assert!((9..=10).contains(&kept), "{kept}");
    let old = "create table call_ledger_20200911 partition of call_ledger
               for values from ('2020-09-11 00:00:00+00') to ('2020-09-12 00:00:00+00')";
    sqlx::raw_sql(old).execute(fixture.pool()).await.unwrap();
    call_at(&fixture, 1, 0).await;
    let mut keepers = JoinSet::new();
    for _ in 0..4 {
        let pool = fixture.pool().clone();
        keepers.spawn(async move { keep_ledger(&mut pool.acquire().await.unwrap()).await.unwrap() });
    }
    assert_eq!(keepers.join_all().await.iter().sum::<u32>(), 1);
    assert_eq!(partitions().await, kept);
    assert_eq!(ledger(fixture.pool(), NUMBERED, period(), None, 10).await.unwrap(), []);
}

/// A row finds a place on a day without a partition, and the day's partition is not missed later.
#[tokio::test]
async fn a_day_without_a_partition_loses_no_call() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let today = sqlx::query_scalar!(
        r#"select 'call_ledger_' || to_char(now() at time zone 'UTC', 'YYYYMMDD') as "name!""#
    );
    let today = today.fetch_one(&mut *conn).await.unwrap();
    let drop = format!("drop table if exists {today}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(drop)).execute(&mut *conn).await.unwrap();
    let process = Process::start(&fixture).await;
    process.call(Ending::Answered).await;
    keep_ledger(&mut conn).await.unwrap();
    process.call(Ending::Answered).await;
    assert_eq!(ledger(fixture.pool(), NUMBERED, period(), None, 10).await.unwrap().len(), 2);
    conn.ping().await.unwrap();
}

/// The ledger of a busy source is read by its index.
#[tokio::test]
async fn evidence_reads_the_period_alone() {
    let fixture = Fixture::new().await;
    let fill = sqlx::query!(
        "insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, waited_ms, ended_at)
         select 'source ' || n % 50, 1, gen_random_uuid(), n, now() - n * interval '10 ms', 0, now()
         from generate_series(1, 20000) n"
    );
    fill.execute(fixture.pool()).await.unwrap();
    sqlx::raw_sql("analyze call_ledger").execute(fixture.pool()).await.unwrap();
    let plan = sqlx::query_scalar!(
        "explain select id from call_ledger
         where source = 'source 7' and departs_at >= now() - interval '1 minute' and departs_at < now()"
    );
    let plan: Vec<_> = plan.fetch_all(fixture.pool()).await.unwrap().into_iter().flatten().collect();
    assert!(!plan.iter().any(|line| line.contains("Seq Scan on call_ledger_2")), "{plan:#?}");
}
