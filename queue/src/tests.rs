//! The statements of the queue stay cheap in a large table: no scan of it, and only as many buffers as there
//! are jobs to touch. Measured on the statements themselves, with the counters that Postgres keeps for a
//! session.

use std::{
    fmt,
    time::{Duration, Instant},
};

use resume_postgres::testing::TestDatabase;
use sqlx::{Acquire, AssertSqlSafe, PgConnection, Row, raw_sql};

use crate::{
    JobFilter, JobState, MIGRATOR,
    claim::{claim, claim_in_shares, hand_back_unknown, outlook},
    control::{
        end::{Ending, end_batch},
        filter::{COUNT_WINDOW, Remaining, count_in},
        retry::{hasten, revive},
    },
    group::finish_groups,
    heartbeat::extend,
    inspect::jobs::{Look, page},
    leader,
    maintenance::{
        absence::{look, note},
        groups::Groups,
        indexes::{Bloated, Indexes, bloated, leftovers},
        rescue::rescue,
        retention::{delete_groups, delete_keys, delete_strays, delete_workers},
        statistics::measure,
        vacuum::vacuum,
    },
    schedules::fire::{Fired, fire_due, next_due as next_due_schedule},
    settle::{Outcome, Settlement, complete_one, settle},
    shares::Holds,
    unique::forget_keys,
};

const LEASE: Duration = Duration::from_secs(30);

/// More than the five runs that Postgres plans for the parameters at hand, so that its generic plan has its
/// turn.
const RUNS: usize = 6;

/// The buffers of a statement that finds nothing to do: the roots of some indexes, and dead entries on their
/// way.
const BUFFERS_BASE: i64 = 60;

/// The buffers for one job: its row in the table, old and new, and an entry in each of five indexes, some
/// levels deep.
const BUFFERS_PER_JOB: i64 = 45;

const ROWS: i64 = 1_000_000;
const ROWS_STALE: i64 = 100_000;

/// Enough for maintenance, which may be slower than a claim.
const MANY: i64 = 200_000;

#[derive(Debug, Clone, Copy)]
struct Cost {
    scans: i64,
    buffers: i64,
}

/// What this session has touched so far of the queue's tables. A table of a few pages may be scanned.
async fn touched(conn: &mut PgConnection) -> Cost {
    let sql =
        "select sum(case when c.relkind = 'r' and pg_relation_size(c.oid) > 262144 then pg_stat_get_xact_numscans(c.oid) else 0
                        end)::bigint,
                      sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint
               from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where n.nspname = 'queue'
                 and (c.relname like 'live_jobs%' or c.relname like 'job_history%' or c.relname like 'workers%'
                      or c.relname like 'schedules%' or c.relname like 'unique_keys%' or c.relname like 'groups%')
                 and c.relkind in ('r', 'i')";
    let row = raw_sql(sql).fetch_one(conn).await.unwrap();
    Cost { scans: row.get(0), buffers: row.get(1) }
}

/// Runs a statement several times, each in a transaction that is rolled back, and asserts what each costs.
macro_rules! assert_cheap {
    ($case:expr, $name:literal, $conn:expr, $jobs:expr, |$tx:ident| $statement:expr) => {
        let mut most = Cost { scans: 0, buffers: 0 };
        for _ in 0..RUNS {
            let mut $tx = $conn.begin().await.unwrap();
            let before = touched(&mut $tx).await;
            $statement.await.unwrap();
            let after = touched(&mut $tx).await;
            most.scans = most.scans.max(after.scans - before.scans);
            most.buffers = most.buffers.max(after.buffers - before.buffers);
            $tx.rollback().await.unwrap();
        }
        let allowed = BUFFERS_BASE + BUFFERS_PER_JOB * $jobs as i64;
        eprintln!("{}: {} of {} jobs: {} buffers, {} scans", $case, $name, $jobs, most.buffers, most.scans);
        assert!(most.scans == 0 || $case.is_small(), "{}: {} scans a table: {most:?}", $case, $name);
        assert!(most.buffers <= allowed, "{}: {}: {most:?}, allowed {allowed}", $case, $name);
    };
}

/// Puts rows into the table of live jobs.
fn fill(queue: &str, state: &str, count: i64, more: &str) -> String {
    let (columns, values) = more.split_once('=').unwrap_or_default();
    format!(
        "insert into queue.live_jobs (queue, kind, state, max_attempts, args{columns}) \
         select '{queue}', '{queue}', '{state}', 3, '{{}}'{values} from generate_series(1, {count}) n;"
    )
}

/// The jobs of worker 1, who runs them.
async fn held(conn: &mut PgConnection, count: i64) -> (Vec<i64>, Vec<i32>) {
    let sql = format!("select id, fence from queue.live_jobs where worker_id = 1 order by id limit {count}");
    let rows = raw_sql(AssertSqlSafe(sql)).fetch_all(conn).await.unwrap();
    rows.iter().map(|row| (row.get::<i64, _>(0), row.get::<i32, _>(1))).unzip()
}

/// What the planner knows of the table of live jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statistics {
    Fresh,
    /// As it was before a burst of jobs came.
    Stale,
    /// Nothing: the burst came before the first vacuum.
    None,
}

/// A table in an awkward state.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    statistics: Statistics,
    rows: i64,
    /// The jobs that the queue `work` has for a claim.
    available: usize,
}

impl Case {
    /// Whether the table of live jobs has so few pages that a good planner may scan it.
    fn is_small(&self) -> bool {
        self.rows < 10_000
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, statistics: {:?}", self.name, self.statistics)
    }
}

/// A database with these rows of `before` the last analysis, and `rows` after it.
async fn filled(before: &str, rows: &str) -> TestDatabase {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    // Two workers with 500 running jobs each, one of which has lost the network.
    let running = fill("work", "running", 500, ", worker_id, lease_until=, 1, now() + interval '1 hour'");
    let expired = fill("work", "running", 500, ", worker_id, lease_until=, 2, now() - interval '1 hour'");
    let setup = format!(
        "alter table queue.live_jobs set (autovacuum_enabled = off);
         insert into queue.workers (name) values ('one'), ('two');
         insert into queue.workers (name, stopped_at) select 'gone', now() from generate_series(1, 5000);
         analyze queue.workers; {before} {rows} {running} {expired}"
    );
    raw_sql(AssertSqlSafe(setup)).execute(database.pool()).await.unwrap();
    database
}

async fn assert_all_cheap(case: Case, database: &TestDatabase) {
    let conn = &mut *database.pool().acquire().await.unwrap();
    for limit in [1, 10, 500] {
        let jobs = limit.min(case.available);
        assert_cheap!(case, "claim", conn, jobs, |tx| claim(&mut tx, "work", 1, limit, LEASE, None));
    }
    assert_cheap!(case, "claim in an empty queue", conn, 0, |tx| claim(
        &mut tx, "nothing", 1, 100, LEASE, None
    ));
    assert_cheap!(case, "outlook", conn, 0, |tx| outlook(&mut tx, "work", false));
    assert_cheap!(case, "look for the dead", conn, 0, |tx| look(&mut tx, 1, false));
    // It looks at the lease of each running job.
    assert_cheap!(case, "note the absent", conn, 2, |tx| note(&mut tx, &[1, 2]));
    assert_cheap!(case, "look at leases", conn, 30, |tx| look(&mut tx, 1, true));
    assert_cheap!(case, "look for the leader", conn, 0, |tx| leader::look(&mut *tx, 1));
    assert_cheap!(case, "rescue", conn, 500, |tx| rescue(&mut tx, &[2], true));
    if case.statistics != Statistics::Fresh {
        return;
    }
    for count in [0, 10, 500] {
        let (ids, fences) = held(conn, count).await;
        assert_cheap!(case, "heartbeat", conn, count, |tx| extend(&mut tx, 1, &ids, &fences, LEASE));
        let batch = |outcome: Outcome| -> Vec<Settlement> {
            let settlement =
                |(id, fence): (&i64, &i32)| Settlement { id: *id, fence: *fence, outcome: outcome.clone() };
            ids.iter().zip(&fences).map(settlement).collect()
        };
        let (completed, failed) = (
            batch(Outcome::Completed),
            batch(Outcome::Discarded { error: "no".to_owned(), code: "error".into() }),
        );
        assert_cheap!(case, "complete", conn, count, |tx| settle(&mut tx, &completed));
        assert_cheap!(case, "discard", conn, count, |tx| settle(&mut tx, &failed));
    }
    let (ids, _) = held(conn, 500).await;
    assert_cheap!(case, "hand back", conn, 500, |tx| hand_back_unknown(&mut tx, 1, &ids[..0]));
}

async fn analyze(database: &TestDatabase) {
    // The runs before were rolled back and left dead entries.
    raw_sql("vacuum (index_cleanup on, analyze) queue.live_jobs").execute(database.pool()).await.unwrap();
}

async fn assert_large_cheap(name: &'static str, rows: impl Fn(i64) -> String, available: usize) {
    let database = filled("", &rows(ROWS)).await;
    let case = Case { name, statistics: Statistics::None, rows: ROWS, available };
    assert_all_cheap(case, &database).await;
    analyze(&database).await;
    assert_all_cheap(Case { statistics: Statistics::Fresh, ..case }, &database).await;

    // Ten jobs more that were there before the burst.
    let before = fill("work", "available", 10, "") + "analyze queue.live_jobs;";
    let database = filled(&before, &rows(ROWS_STALE)).await;
    let case = Case { name, statistics: Statistics::Stale, rows: ROWS_STALE, available: available + 10 };
    assert_all_cheap(case, &database).await;
}

#[tokio::test]
async fn cheap_with_a_queue_full_of_future_jobs() {
    let more = ", run_at=, now() + n * interval '1 second' + interval '1 hour'";
    let rows = |n| fill("work", "scheduled", n, more) + &fill("work", "available", 3, "");
    assert_large_cheap("all scheduled", rows, 3).await;
}

#[tokio::test]
async fn cheap_with_another_queue_full() {
    let rows = |n| fill("other", "available", n, "") + &fill("work", "available", 3, "");
    assert_large_cheap("all in another queue", rows, 3).await;
}

#[tokio::test]
async fn cheap_with_the_queue_full() {
    let future = ", run_at=, now() + interval '1 hour'";
    let rows =
        |n| fill("work", "available", n, ", priority=, n % 3") + &fill("work", "retryable", 1000, future);
    assert_large_cheap("all available", rows, 500).await;
}

/// One claim makes a thousand due jobs available, and the next ones take of them.
#[tokio::test]
async fn cheap_with_a_queue_full_of_due_jobs() {
    const DUE_MAX: usize = 1000;
    for statistics in [Statistics::None, Statistics::Fresh] {
        let rows = fill("work", "scheduled", MANY, ", run_at=, now() - n * interval '1 second'");
        let database = filled("", &rows).await;
        if statistics == Statistics::Fresh {
            analyze(&database).await;
        }
        let case = Case { name: "all due", statistics, rows: MANY, available: 0 };
        let conn = &mut *database.pool().acquire().await.unwrap();
        assert_cheap!(case, "outlook", conn, 0, |tx| outlook(&mut tx, "work", false));
        for limit in [1, 500] {
            let jobs = limit + DUE_MAX;
            assert_cheap!(case, "claim", conn, jobs, |tx| claim(&mut tx, "work", 1, limit, LEASE, None));
        }
    }
}

async fn assert_limited_cheap(name: &'static str, rows: &str, looked_at: i64) {
    assert_limited_to_cheap(1, name, rows, looked_at).await;
}

async fn assert_limited_to_cheap(per_key: i32, name: &'static str, rows: &str, looked_at: i64) {
    let limit = format!("insert into queue.queues (name, max_running_per_key) values ('work', {per_key});");
    let busy = "update queue.live_jobs set concurrency_key = 'busy' where id = (select max(id) from queue.live_jobs \
                where state = 'running');";
    for statistics in [Statistics::None, Statistics::Stale, Statistics::Fresh] {
        let before = match statistics {
            Statistics::Stale => fill("work", "scheduled", 1000, ", run_at=, now() + interval '1 hour'"),
            _ => String::new(),
        };
        let database = filled(&(before + "analyze queue.live_jobs;"), &(limit.clone() + rows)).await;
        raw_sql(AssertSqlSafe(busy)).execute(database.pool()).await.unwrap();
        if statistics == Statistics::Fresh {
            analyze(&database).await;
        }
        let case = Case { name, statistics, rows: MANY, available: 0 };
        let conn = &mut *database.pool().acquire().await.unwrap();
        for limit in [1, 10, 100] {
            let jobs = limit as i64 + looked_at;
            assert_cheap!(case, "claim", conn, jobs, |tx| claim(&mut tx, "work", 1, limit, LEASE, None));
        }
        assert_cheap!(case, "outlook", conn, 0, |tx| outlook(&mut tx, "work", false));
    }
}

#[tokio::test]
async fn cheap_with_many_keys() {
    let rows = fill("work", "available", 300_000, ", concurrency_key=, 'key ' || n");
    assert_limited_cheap("300,000 keys", &rows, 1).await;
}

/// The first 1,000 and perhaps the next 20,000 jobs are read, from few pages; and the jobs behind them are
/// found by their keys.
#[tokio::test]
async fn cheap_with_a_busy_key_in_front() {
    let rows = fill("work", "available", 100_000, ", concurrency_key=, 'busy'")
        + &fill("work", "available", 100_000, ", concurrency_key=, 'key ' || n");
    assert_limited_cheap("a busy key in front", &rows, 40).await;
}

/// The running jobs of a key, as that of a source.
fn fill_running(count: i64, key: &str) -> String {
    fill(
        "work",
        "running",
        count,
        &format!(", concurrency_key, worker_id, lease_until=, {key}, 1, now() + interval '1 hour'"),
    )
}

/// What runs of the key is counted once a claim, however many jobs of it are looked at.
#[tokio::test]
async fn cheap_with_one_key_that_runs_many() {
    let rows =
        fill("work", "available", 100_000, ", concurrency_key=, 'source'") + &fill_running(2000, "'source'");
    assert_limited_to_cheap(4000, "one key that runs 2,000 of 4,000", &rows, 1).await;
}

/// A claim that finds nothing reads the first 1,000 jobs, and what runs of their keys and of the next 1,000
/// keys.
#[tokio::test]
async fn cheap_with_many_busy_keys() {
    let rows = fill("work", "available", 50_000, ", concurrency_key=, 'key ' || n % 5000")
        + &fill_running(5000, "'key ' || n % 5000")
        + "update queue.queues set lap_began_at = now() + interval '1 hour';";
    assert_limited_cheap("5,000 busy keys", &rows, 250).await;
}

/// A claim looks at the keys, at as many jobs of each as it could take, and at the groups that have a turn;
/// where keys leave room, at the first 100 jobs.
#[tokio::test]
async fn cheap_in_shares() {
    let of = |count: i64, keys: i64, groups: i64| {
        let columns = ", concurrency_key, group_id";
        fill("work", "available", count, &format!("{columns}=, 'key ' || n % {keys}, n % {groups}"))
    };
    for (name, rows, looked_at) in [
        ("one key and group", of(300_000, 1, 1), 10),
        ("one key, 50,000 groups", of(200_000, 1, 50_000), 10),
        ("100 keys", of(200_000, 100, 10_000), 100),
    ] {
        for statistics in [Statistics::None, Statistics::Stale, Statistics::Fresh] {
            let before = match statistics {
                Statistics::Stale => fill("work", "scheduled", 1000, ", run_at=, now() + interval '1 hour'"),
                _ => String::new(),
            };
            let database = filled(&(before + "analyze queue.live_jobs;"), &rows).await;
            if statistics == Statistics::Fresh {
                analyze(&database).await;
            }
            let case = Case { name, statistics, rows: MANY, available: 0 };
            let conn = &mut *database.pool().acquire().await.unwrap();
            for (free, held) in [(1, 0), (32, 0), (16, 16)] {
                let holds = Holds { keys: vec!["key 0".to_owned()], held: vec![held], behind: vec![Some(7)] };
                let jobs = looked_at + free as i64;
                assert_cheap!(case, "claim", conn, jobs, |tx| claim_in_shares(
                    &mut tx, "work", 1, free, LEASE, &holds
                ));
            }
        }
    }
}

/// A session keeps its plans. Those that it made while the queue was nearly empty must do for a large one,
/// until the next analyze.
#[tokio::test]
async fn jobs_are_completed_cheaply_by_a_plan_of_an_empty_queue() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let running =
        |count| fill("work", "running", count, ", worker_id, lease_until=, 1, now() + interval '1 hour'");
    let setup = format!(
        "alter table queue.live_jobs set (autovacuum_enabled = off);
         insert into queue.workers (name) values ('one'); {}",
        running(20)
    );
    raw_sql(AssertSqlSafe(setup)).execute(database.pool()).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let (ids, fences) = held(conn, 20).await;
    for (id, fence) in ids.into_iter().zip(fences) {
        assert!(complete_one(conn, id, fence).await.unwrap());
    }
    let rows = fill("work", "available", 100_000, "") + &running(1);
    raw_sql(AssertSqlSafe(rows)).execute(database.pool()).await.unwrap();
    let (ids, fences) = held(conn, 1).await;
    let case =
        Case { name: "an empty queue before", statistics: Statistics::None, rows: 100_000, available: 0 };
    assert_cheap!(case, "complete", conn, 1, |tx| complete_one(&mut tx, ids[0], fences[0]));
}

/// A vacuum tells the planner how many jobs there are, and nothing of what is in them: by such numbers every
/// index looks good for everything.
#[tokio::test]
async fn claims_in_shares_are_cheap_by_a_plan_of_a_vacuumed_queue() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let of_one_group =
        |count| fill("work", "available", count, ", concurrency_key, group_id=, 'key', 7") + "; ";
    let few = "alter table queue.live_jobs set (autovacuum_enabled = off); ".to_owned() + &of_one_group(20);
    raw_sql(AssertSqlSafe(few)).execute(database.pool()).await.unwrap();
    raw_sql("vacuum queue.live_jobs").execute(database.pool()).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut *conn).await.unwrap();
    let holds = Holds { keys: vec!["key".to_owned()], held: vec![4], behind: vec![Some(7)] };
    for _ in 0..10 {
        assert_eq!(claim_in_shares(conn, "work", 1, 8, LEASE, &holds).await.unwrap().len(), 2);
    }
    raw_sql(AssertSqlSafe(of_one_group(100_000))).execute(database.pool()).await.unwrap();
    let case = Case { name: "a vacuum before", statistics: Statistics::None, rows: 100_000, available: 0 };
    assert_cheap!(case, "claim", conn, 20, |tx| claim_in_shares(&mut tx, "work", 1, 8, LEASE, &holds));
}

/// A claim makes more jobs available than it takes; another one that found them locked must not sleep through
/// that.
#[tokio::test]
async fn jobs_that_another_claim_leaves_over_are_due() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let due = fill("work", "scheduled", 3, ", run_at=, now() - interval '1 second'");
    raw_sql(AssertSqlSafe(due)).execute(database.pool()).await.unwrap();
    let (mut one, mut other) =
        (database.pool().acquire().await.unwrap(), database.pool().acquire().await.unwrap());
    let mut tx = one.begin().await.unwrap();
    assert_eq!(claim(&mut tx, "work", 1, 1, LEASE, None).await.unwrap().len(), 1);
    assert!(claim(&mut other, "work", 1, 1, LEASE, None).await.unwrap().is_empty());
    assert_eq!(outlook(&mut other, "work", false).await.unwrap().next_due, Some(Duration::ZERO));
    tx.commit().await.unwrap();
    assert_eq!(outlook(&mut other, "work", false).await.unwrap().next_due, Some(Duration::ZERO));
    assert_eq!(claim(&mut other, "work", 1, 5, LEASE, None).await.unwrap().len(), 2);
    assert_eq!(outlook(&mut other, "work", false).await.unwrap().next_due, None);
}

#[tokio::test]
async fn cheap_with_a_long_history() {
    let history = format!(
        "insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, queue, kind, args)
         select -n, 1, 1, 1, 0, 'completed', now(), now(), 'work', 'work', '{{}}' from generate_series(1, {ROWS}) n;"
    );
    let case = Case { name: "long history", statistics: Statistics::Fresh, rows: 0, available: 3 };
    let database = filled("", &(history + &fill("work", "available", 3, ""))).await;
    analyze(&database).await;
    assert_all_cheap(case, &database).await;
}

/// Rows of the history with ids from `first` on, so many days old.
fn ended(state: &str, first: i64, count: i64, days: i32) -> String {
    format!(
        "insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, finished_at, queue,
                                        kind, args, idempotency_key)
         select n, 1, 1, 1, 0, '{state}', now(), now(), now() - interval '{days} days', 'work', 'work', '{{}}', 'key' || n
         from generate_series({first}, {first} + {count} - 1) n;"
    )
}

/// A week of completed jobs, between which others ended too.
async fn with_a_week_of_completed_jobs() -> TestDatabase {
    // The ids of live jobs begin behind those of the history.
    let days = "select setval('queue.live_jobs_id_seq', 3000000); select queue.create_history_partitions((now() at time zone 'UTC')::date - 30, (now() at time zone 'UTC')::date - 1);";
    let mut history = String::new();
    // A seventh of the ids a day, a few of them cancelled or discarded, and the rest completed.
    let per_day = ROWS / 7;
    for day in 0..7 {
        let first = 1 + (6 - i64::from(day)) * (per_day + 2000);
        history += &ended("cancelled", first, 1000, day);
        history += &ended("completed", first + 1000, per_day, day);
        history += &ended("discarded", first + 1000 + per_day, 1000, day);
    }
    // What the planner knows is for the test to say.
    let by_hand = "do $$ declare part regclass; begin
                       for part in select relid from pg_partition_tree('queue.job_history') where isleaf loop
                           execute format('alter table %s set (autovacuum_enabled = off)', part);
                       end loop;
                   end $$;";
    filled(&(days.to_owned() + by_hand), &(history + &fill("work", "retryable", 1000, ""))).await
}

#[tokio::test]
async fn what_people_ask_is_cheap_beside_a_week_of_completed_jobs() {
    let database = with_a_week_of_completed_jobs().await;
    let conn = &mut *database.pool().acquire().await.unwrap();
    for statistics in [Statistics::None, Statistics::Fresh] {
        let case = Case { name: "a week of completed jobs", statistics, rows: ROWS, available: 0 };
        let all = Remaining { after: 0, last: i64::MAX };
        let of = |states: &[JobState]| JobFilter { states: Some(states.to_vec()), ..JobFilter::default() };
        let (cancelled, discarded) = (of(&[JobState::Cancelled]), of(&[JobState::Discarded]));
        let completed = of(&[JobState::Completed]);
        let nothing = JobFilter { kind: Some("nothing".to_owned()), ..JobFilter::default() };
        let one = |id| Remaining { after: id - 1, last: id };
        for (filter, rows) in
            [(&cancelled, 7000), (&discarded, 7000), (&completed, 20_000), (&nothing, 40_000)]
        {
            let look = Look { one: None, before: i64::MAX, window: 20_000, limit: 100 };
            assert_cheap!(case, "list", conn, rows / 20, |tx| page(&mut tx, filter, look));
        }
        let look = Look { one: Some(5), before: 6, window: 1, limit: 1 };
        assert_cheap!(case, "look at one", conn, 20, |tx| page(&mut tx, &JobFilter::default(), look));
        for filter in [&cancelled, &discarded] {
            assert_cheap!(case, "count", conn, 350, |tx| count_in(&mut tx, filter));
        }
        // Each id is looked up in the partitions of all days between the first and the last one, to lock and
        // to delete it.
        for (name, filter) in [("cancelled", &cancelled), ("discarded", &discarded)] {
            // What comes back makes a table of a few pages a larger one, whose earlier scans would count.
            let case = Case { name, rows: 0, ..case };
            assert_cheap!(case, "revive", conn, 2 * 5000, |tx| revive(&mut tx, filter, all, 5000));
        }
        assert_cheap!(case, "revive none", conn, 600, |tx| revive(&mut tx, &nothing, all, 5000));
        assert_cheap!(case, "revive one", conn, 20, |tx| revive(&mut tx, &cancelled, one(1), 1));
        assert_cheap!(case, "revive one that is completed", conn, 20, |tx| revive(
            &mut tx,
            &cancelled,
            one(2000),
            1
        ));
        let live = Remaining { after: 3_000_000, last: 3_002_000 };
        assert_cheap!(case, "hasten", conn, 2000, |tx| hasten(&mut tx, &JobFilter::default(), live, &[]));
        let cancel = Ending::new(JobState::Cancelled, &JobFilter::default());
        assert_cheap!(case, "end many", conn, 2000, |tx| end_batch(&mut tx, &cancel, all, false));
        assert_cheap!(case, "end one", conn, 1, |tx| end_batch(&mut tx, &cancel, one(3_000_001), true));
        // All live jobs are fewer than it may look at.
        let few_live = Case { rows: 0, ..case };
        assert_cheap!(few_live, "count", conn, COUNT_WINDOW / 300, |tx| count_in(&mut tx, &nothing));
        raw_sql("analyze queue.job_history").execute(&mut *conn).await.unwrap();
        // What was rolled back left dead entries.
        analyze(&database).await;
    }
}

/// The keys of jobs that are gone, behind those of jobs that are live or in the history: those are older, so
/// that each look meets them first.
#[tokio::test]
async fn all_keys_that_outlived_their_jobs_are_forgotten() {
    const KEPT: i64 = 3000;
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let keys = |from: &str, days: &str| {
        format!(
            "insert into queue.unique_keys (queue, key, job_id, taken_at)
             select 'work', id::text, id, now() - {days} from {from};"
        )
    };
    let setup = [
        fill("work", "scheduled", KEPT / 2, ""),
        ended("completed", 100_000, 20_000, 1),
        ended("discarded", 200_000, KEPT / 2, 20),
        keys("queue.live_jobs", "interval '300 days'"),
        keys("queue.job_history where state = 'discarded'", "interval '40 days'"),
        // Many of one transaction, and many that are not.
        keys("generate_series(1000001, 1040000) id", "interval '20 days'"),
        keys("generate_series(1040001, 1080000) id", "id * interval '1 second'"),
        keys("generate_series(1080001, 1080100) id", "interval '7 days'"),
    ];
    let analyze = "analyze queue.unique_keys; analyze queue.job_history; analyze queue.live_jobs".to_owned();
    raw_sql(AssertSqlSafe(setup.concat() + &analyze)).execute(&mut *conn).await.unwrap();
    let case =
        Case { name: "eighty thousand old keys", statistics: Statistics::Fresh, rows: MANY, available: 0 };
    // A key is looked up in the live jobs and in each partition.
    assert_cheap!(case, "forget keys", conn, 1000, |tx| forget_keys(&mut tx, 8, None, 1000));
    assert_eq!(delete_keys(conn, 10_000).await.unwrap(), 80_000);
    let kept = raw_sql("select count(*) from queue.unique_keys").fetch_one(&mut *conn).await.unwrap();
    assert_eq!(kept.get::<i64, _>(0), KEPT + 100);
    assert_eq!(delete_keys(conn, 1000).await.unwrap(), 0);
}

#[tokio::test]
async fn all_groups_past_their_time_are_deleted() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let groups = "insert into queue.groups (kind, args, max_attempts, finished_at)
                  select 'work', '{}', 1, now() - n * interval '1 day' from generate_series(1, 40) n, generate_series(1, 1000)";
    raw_sql(groups).execute(&mut *conn).await.unwrap();
    assert_eq!(delete_groups(conn, 1000).await.unwrap(), 10_000);
}

/// One of very many open groups is over, and each pass looks at a part of them.
#[tokio::test]
async fn very_many_open_groups_are_looked_at_by_parts() {
    const GROUPS: i64 = 50_000;
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let groups = format!(
        "insert into queue.groups (kind, args, max_attempts) select 'end', '{{}}', 1 from generate_series(1, {GROUPS} + 1);"
    );
    let rows = groups + &fill("work", "available", GROUPS, ", group_id=, n");
    raw_sql(AssertSqlSafe(rows + "analyze queue.groups; analyze queue.live_jobs"))
        .execute(&mut *conn)
        .await
        .unwrap();
    let case = Case { name: "many open groups", statistics: Statistics::Fresh, rows: MANY, available: 0 };
    assert_cheap!(case, "a pass", conn, 1000, |tx| Groups::default().pass(&mut tx, 10_000));
    assert_cheap!(case, "finish none", conn, 20, |tx| finish_groups(&mut tx, &[1, 2, 3, 4, 5]));
    let mut groups = Groups::default();
    let mut finished = Vec::new();
    for _ in 0..7 {
        finished.push(groups.pass(conn, 10_000).await.unwrap());
    }
    assert_eq!(finished, [0, 0, 0, 0, 0, 1, 0]);
}

/// Jobs complete by the batch, in any order, while somebody cancels all of them: nobody waits in a circle.
#[tokio::test]
async fn a_cancel_of_many_and_completions_do_not_lock_each_other_out() {
    const ROUNDS: usize = 300;
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let pool = database.pool();
    let conn = &mut *pool.acquire().await.unwrap();
    for round in 0..ROUNDS {
        let rows = fill("work", "running", 500, ", worker_id, lease_until=, 1, now() + interval '1 hour'");
        raw_sql(AssertSqlSafe(rows)).execute(&mut *conn).await.unwrap();
        let sql = "select id from queue.live_jobs order by hashint8(id)";
        let ids = raw_sql(sql).fetch_all(&mut *conn).await.unwrap();
        let completed = |row| Settlement { id: Row::get(row, 0), fence: 0, outcome: Outcome::Completed };
        let batch: Vec<Settlement> = ids.iter().map(completed).collect();
        let filter = JobFilter::default();
        let (settled, cancelled) =
            tokio::join!(settle(&mut *conn, &batch), crate::cancel_all(pool, &filter, None));
        assert_eq!(settled.unwrap().len(), 500, "round {round}");
        assert_eq!(cancelled.unwrap().next, None);
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    raw_sql("select pg_stat_clear_snapshot()").execute(&mut *conn).await.unwrap();
    assert_eq!(raw_sql(deadlocks).fetch_one(&mut *conn).await.unwrap().get::<i64, _>(0), 0);
}

/// Counts a fifth of the rows at most, from the index alone once vacuum has been by.
#[tokio::test]
async fn statistics_stop_counting() {
    const COUNT_MAX: i64 = MANY / 5;
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let future = ", run_at=, now() + n * interval '1 second'";
    let rows = fill("work", "available", MANY, "") + &fill("work", "scheduled", MANY, future);
    let few = fill("other", "retryable", 7, "") + &fill("work", "retryable", 100, "");
    let off = "alter table queue.live_jobs set (autovacuum_enabled = off);";
    raw_sql(AssertSqlSafe(format!("{off} {rows} {few}"))).execute(&mut *conn).await.unwrap();
    let case = |name| Case { name, statistics: Statistics::Fresh, rows: MANY, available: 0 };
    // Each counted job is looked at in the table, and no other one.
    let jobs = COUNT_MAX * 2 / BUFFERS_PER_JOB * 2;
    assert_cheap!(case("never vacuumed"), "statistics", conn, jobs, |tx| measure(&mut tx, COUNT_MAX));
    raw_sql("vacuum analyze queue.live_jobs").execute(&mut *conn).await.unwrap();
    assert_cheap!(case("vacuumed"), "statistics", conn, 30, |tx| measure(&mut tx, COUNT_MAX));
}

#[tokio::test]
async fn retention_reads_only_what_it_deletes() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let strays = |count: i64, state: &str, days: i32| {
        format!(
            "insert into queue.job_history (id, fence, attempt, max_attempts, priority, state, run_at, created_at, queue, kind, args,
                                            finished_at)
             select n, 1, 1, 1, 0, '{state}', now(), now(), 'work', 'work', '{{}}', now() - interval '{days} days'
             from generate_series(1, {count}) n;"
        )
    };
    let young = strays(MANY / 2, "completed", 2) + &strays(MANY / 2, "discarded", 10);
    let old = strays(1000, "cancelled", 20) + &strays(1000, "discarded", 40);
    let workers = "insert into queue.workers (name, stopped_at)
                   select 'gone', now() - n * interval '1 minute' from generate_series(1, 45000) n;";
    let setup = format!("{young} {old} {workers} analyze queue.job_history; analyze queue.workers");
    raw_sql(AssertSqlSafe(setup)).execute(&mut *conn).await.unwrap();
    let case = Case {
        name: "a long history without partitions",
        statistics: Statistics::Fresh,
        rows: MANY,
        available: 0,
    };
    assert_cheap!(case, "delete strays", conn, 200, |tx| delete_strays(&mut tx, 100));
    assert_cheap!(case, "delete workers", conn, 360, |tx| delete_workers(&mut tx));
    assert_eq!(delete_strays(conn, 600).await.unwrap(), 1200);
    assert_eq!(delete_strays(conn, 600).await.unwrap(), 800);
    assert_eq!(delete_strays(conn, 600).await.unwrap(), 0);
    assert_eq!(delete_workers(conn).await.unwrap(), 361);
}

#[tokio::test]
async fn only_schedules_that_are_due_are_read() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let schedules = "insert into queue.schedules
                         (name, cron, time_zone, kind, args, priority, max_attempts, missed, enabled, next_at)
                     select n, '* * * * *', 'UTC', 'work', '{}', 0, 1, 'once', n % 2 = 0,
                            date_trunc('minute', now()) + case when n <= 40 then '0' else '1 hour' end::interval
                     from generate_series(1, 50000) n; analyze queue.schedules";
    raw_sql(schedules).execute(&mut *conn).await.unwrap();
    let case =
        Case { name: "fifty thousand schedules", statistics: Statistics::Fresh, rows: MANY, available: 0 };
    assert_cheap!(case, "fire", conn, 20, |tx| fire_due(&mut tx));
    assert_eq!(fire_due(conn).await.unwrap(), Fired { schedules: 20, jobs: 20 });
    assert_cheap!(case, "fire nothing", conn, 0, |tx| fire_due(&mut tx));
    assert_cheap!(case, "next due schedule", conn, 0, |tx| next_due_schedule(&mut tx));
}

/// An index that was filled and emptied is found and rebuilt; one that is as large as its content is left
/// alone.
#[tokio::test]
async fn an_index_beyond_its_content_is_found() {
    const BYTES_MIN: i64 = 4 * 1024 * 1024;
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let off = "alter table queue.live_jobs set (autovacuum_enabled = off);";
    let rows = off.to_owned() + &fill("work", "available", MANY, "");
    raw_sql(AssertSqlSafe(rows + "analyze queue.live_jobs")).execute(&mut *conn).await.unwrap();
    assert!(bloated(conn, BYTES_MIN).await.unwrap().is_empty(), "full and not bloated");
    // One of a hundred is left, so that no page becomes empty.
    raw_sql("delete from queue.live_jobs where id % 100 <> 0").execute(&mut *conn).await.unwrap();
    raw_sql("vacuum analyze queue.live_jobs").execute(&mut *conn).await.unwrap();
    let found = bloated(conn, BYTES_MIN).await.unwrap();
    assert!(!found.is_empty());
    let mut indexes = Indexes::new(database.pool().clone());
    for index in found {
        assert!(indexes.is_worth_it(&index));
        assert_eq!(indexes.tidy(conn, &[], Some(index.name.clone())).await.unwrap(), 1);
        let again = Bloated { size_bytes: index.size_bytes / 100, ..index };
        assert!(!indexes.is_worth_it(&again), "{} has not grown since", again.name);
    }
    assert!(bloated(conn, BYTES_MIN).await.unwrap().is_empty());
}

#[tokio::test]
async fn dead_rows_are_removed_before_claims_read_over_them() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    let off = "alter table queue.live_jobs set (autovacuum_enabled = off);";
    let rows = off.to_owned() + &fill("work", "available", 10_000, "");
    raw_sql(AssertSqlSafe(rows)).execute(&mut *conn).await.unwrap();
    assert_eq!(vacuum(conn).await.unwrap(), 0, "nothing is dead");
    raw_sql("delete from queue.live_jobs").execute(&mut *conn).await.unwrap();
    // A session tells what it has counted once it has told nothing for a second.
    let deadline = Instant::now() + Duration::from_secs(30);
    while vacuum(conn).await.unwrap() == 0 {
        assert!(Instant::now() < deadline, "no dead rows are counted");
    }
    let left =
        sqlx::query_scalar!(r#"select pg_stat_get_dead_tuples('queue.live_jobs'::regclass) as "dead!""#);
    assert_eq!(left.fetch_one(&mut *conn).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_broken_rebuild_leaves_is_dropped() {
    let database = TestDatabase::new(&[&MIGRATOR]).await.unwrap();
    let conn = &mut *database.pool().acquire().await.unwrap();
    raw_sql("create index live_jobs_due_ccnew on queue.live_jobs (run_at)")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert!(leftovers(conn).await.unwrap().is_empty(), "a valid index is somebody's");
    let invalid =
        "update pg_index set indisvalid = false where indexrelid = 'queue.live_jobs_due_ccnew'::regclass";
    raw_sql(invalid).execute(&mut *conn).await.unwrap();
    let found = leftovers(conn).await.unwrap();
    assert_eq!(found, ["queue.live_jobs_due_ccnew"]);
    assert_eq!(Indexes::new(database.pool().clone()).tidy(conn, &found, None).await.unwrap(), 1);
    assert!(leftovers(conn).await.unwrap().is_empty());
}
