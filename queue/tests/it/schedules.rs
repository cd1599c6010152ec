//! Jobs by the clock: each tick once, whoever leads; what becomes of missed ticks; what an operator can do.
//!
//! The tests move the ticks in the rows, not the clock: nothing but the database's clock decides what is due.

use std::{collections::BTreeSet, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use resume_queue::{
    JobState, maintenance,
    schedules::{self, Missed, NewSchedule, Schedule, ScheduleError, Timing},
};
use serde_json::json;
use sqlx::{Connection, PgPool};

use crate::support::*;

fn cron(expression: &str) -> Timing {
    Timing::Cron { expression: expression.to_owned(), time_zone: "Europe/Berlin".to_owned() }
}

pub(crate) fn schedule(name: &str, expression: &str, missed: Missed) -> NewSchedule {
    NewSchedule { missed, ..NewSchedule::new(name, cron(expression), &Work { n: 1 }).unwrap() }
}

pub(crate) async fn put(pool: &PgPool, schedule: &NewSchedule) -> Schedule {
    schedules::put(&mut pool.acquire().await.unwrap(), schedule).await.unwrap()
}

async fn get(pool: &PgPool, name: &str) -> Schedule {
    schedules::get(&mut pool.acquire().await.unwrap(), name).await.unwrap().unwrap()
}

pub(crate) async fn now(pool: &PgPool) -> DateTime<Utc> {
    sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(pool).await.unwrap()
}

/// Sets the next tick of a schedule, as if it had been waiting for it, and tells the leader.
async fn tick_at(pool: &PgPool, name: &str, sql: &str) {
    let set =
        format!("update queue.schedules set next_at = {sql} where name = '{name}'; notify queue_schedules");
    execute(pool, set).await;
}

/// Waits until a schedule has gone on to a tick to come.
pub(crate) async fn until_fired(pool: &PgPool, name: &str) -> Schedule {
    until(&format!("{name} has fired"), || async {
        let schedule = get(pool, name).await;
        schedule.next_at.is_none_or(|next| next > schedule.read_at).then_some(schedule)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_enqueues_what_was_stored() {
    let database = database().await;
    let pool = database.pool();
    let args =
        json!({"n": 7, "deep": [{"ä": null}, 1.5, 9_007_199_254_740_993i64], "text": "with \"quotes\""});
    let new = NewSchedule {
        args: args.clone(),
        priority: 3,
        max_attempts: 4,
        on_discard: Some("mourn".to_owned()),
        ..schedule("nightly", "30 2 * * *", Missed::Once)
    };
    let stored = put(pool, &new).await;
    assert_eq!(stored.what, new);
    assert!(stored.enabled && stored.next_at > Some(now(pool).await));
    assert_eq!((stored.last_at, stored.last_job_id, &stored.last_error), (None, None, &None));
    let ticks = stored.next_ticks(3).unwrap();
    assert_eq!((ticks.len(), ticks.first().copied()), (3, stored.next_at));
    let worker = TestWorker::start(database.url()).await;
    tick_at(pool, "nightly", "date_trunc('second', now())").await;
    let fired = until_fired(pool, "nightly").await;
    let all = jobs(pool).await;
    // Its next tick is that of tomorrow. What was moved to now was no tick of the expression.
    assert_eq!((all.len(), fired.next_at), (0, stored.next_at));
    worker.stop().await;
    // At a tick of the expression.
    put(pool, &NewSchedule { timing: cron("* * * * *"), ..new }).await;
    tick_at(pool, "nightly", "date_trunc('minute', now())").await;
    let worker = TestWorker::start(database.url()).await;
    let fired = until_fired(pool, "nightly").await;
    let all = jobs(pool).await;
    assert_eq!(all.len(), 1);
    let job = &all[0];
    assert_eq!((&job.args, job.max_attempts, job.state), (&args, 4, JobState::Available));
    assert_eq!((job.queue.as_str(), job.kind.as_str()), ("work", "work"));
    assert_eq!((fired.last_at, fired.last_job_id), (Some(job.run_at), Some(job.id)));
    let more =
        "select extract(epoch from run_at - turn)::bigint from queue.live_jobs where on_discard = 'mourn'";
    assert_eq!(number(pool, more).await, Some(3 * 60), "its turn comes earlier by its priority");
    worker.stop().await;
}

/// Promise: within a second of the tick. A schedule that is put, or was moved, wakes the leader.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_fires_on_time_and_never_early() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |_: Work, _| async { Ok(()) });
    // The leader sleeps for half a minute now.
    let asleep = || async {
        maintenance::report(pool).await.unwrap().iter().any(|r| r.service == "schedules").then_some(())
    };
    until("the leader has looked", asleep).await;
    for n in 1..=3 {
        let at = now(pool).await + TimeDelta::milliseconds(600);
        let name = format!("once {n}");
        let stored = put(pool, &NewSchedule::new(&name, Timing::Once(at), &Work { n }).unwrap()).await;
        assert_eq!(stored.next_ticks(5).unwrap(), [at]);
        let fired = || async { Some(get(pool, &name).await).filter(|schedule| schedule.last_at.is_some()) };
        let fired = until("it has fired", fired).await;
        assert_eq!((fired.next_at, fired.last_at), (None, Some(at)));
        let job = until_state(pool, fired.last_job_id.unwrap(), JobState::Completed).await;
        let late = (job.created_at - at).num_milliseconds();
        eprintln!("a schedule fired {late} ms after its tick");
        assert!((0..1000).contains(&late), "{late} ms");
        // Put again at the next start of the program: it has been done.
        put(pool, &NewSchedule::new(&name, Timing::Once(at), &Work { n }).unwrap()).await;
        assert_eq!(get(pool, &name).await.next_at, None);
    }
    assert_eq!(jobs(pool).await.len(), 3);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_ticks_are_dealt_with_by_policy() {
    let database = database().await;
    let pool = database.pool();
    let hour = "date_trunc('hour', now())";
    for (name, missed) in [("skip", Missed::Skip), ("once", Missed::Once), ("all", Missed::All)] {
        // At ten past, or at twenty to: now is more than a minute later than the last of them.
        let minute = if now(pool).await.format("%M").to_string().parse::<u32>().unwrap() % 30 < 15 {
            "20,50"
        } else {
            "5,35"
        };
        let expression = format!("{minute} * * * *");
        put(pool, &NewSchedule { args: json!(name), ..schedule(name, &expression, missed) }).await;
        // No worker lived for five hours and somewhat.
        tick_at(pool, name, &format!("{hour} - interval '5 hours'")).await;
    }
    let worker = TestWorker::start(database.url()).await;
    for name in ["skip", "once", "all"] {
        until_fired(pool, name).await;
    }
    let of = |jobs: &[JobRow], name: &str| {
        jobs.iter().filter(|job| job.args == json!(name)).map(|job| job.run_at).collect::<Vec<_>>()
    };
    let all = jobs(pool).await;
    assert_eq!(of(&all, "skip").len(), 0);
    let made_up = of(&all, "all");
    assert!((10..=12).contains(&made_up.len()), "{made_up:?}");
    assert!(made_up.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::minutes(30)), "{made_up:?}");
    assert_eq!(of(&all, "once"), made_up[made_up.len() - 1..]);
    assert_eq!(get(pool, "once").await.last_at, made_up.last().copied());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_than_a_thousand_missed_ticks_are_made_up_for() {
    let database = database().await;
    let pool = database.pool();
    for name in ["one", "other"] {
        put(pool, &schedule(name, "* * * * *", Missed::All)).await;
        tick_at(pool, name, "now() - interval '1 year'").await;
    }
    let worker = TestWorker::start(database.url()).await;
    for name in ["one", "other"] {
        until_fired(pool, name).await;
    }
    let jobs = jobs(pool).await;
    // A minute may have passed since.
    assert!((2000..2010).contains(&jobs.len()), "{}", jobs.len());
    assert!(jobs.iter().all(|job| job.created_at - job.run_at < TimeDelta::minutes(1001)), "the latest");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_stops_starts_and_runs_a_schedule() {
    let database = database().await;
    let pool = database.pool();
    let conn = &mut *pool.acquire().await.unwrap();
    let missing = ["enable", "disable", "delete"];
    assert_eq!(schedules::get(conn, "missing").await.unwrap(), None);
    assert_eq!(schedules::run_now(conn, "missing").await.unwrap(), None);
    assert_eq!(
        [
            schedules::enable(conn, missing[0]).await.unwrap(),
            schedules::disable(conn, missing[1]).await.unwrap(),
            schedules::delete(conn, missing[2]).await.unwrap()
        ],
        [false; 3]
    );
    put(pool, &schedule("minutely", "* * * * *", Missed::Once)).await;
    put(pool, &schedule("another", "0 0 1 1 *", Missed::Once)).await;
    assert!(schedules::disable(conn, "minutely").await.unwrap());
    let worker = TestWorker::start(database.url()).await;
    tick_at(pool, "minutely", "date_trunc('minute', now()) - interval '10 minutes'").await;
    // By hand, also while it is disabled; a rollback takes it back.
    let mut tx = conn.begin().await.unwrap();
    schedules::run_now(&mut tx, "minutely").await.unwrap().unwrap();
    tx.rollback().await.unwrap();
    let id = schedules::run_now(conn, "minutely").await.unwrap().unwrap();
    let stopped = get(pool, "minutely").await;
    assert_eq!((stopped.last_job_id, stopped.enabled), (Some(id), false));
    assert_eq!(job(pool, id).await.args, json!({"n": 1}));
    // The next start of a program does not undo what the operator did.
    put(pool, &schedule("minutely", "* * * * *", Missed::Once)).await;
    let again = get(pool, "minutely").await;
    assert_eq!((again.enabled, again.next_at), (false, stopped.next_at));
    // Another schedule that fires shows that the leader has looked, and left the disabled one alone.
    tick_at(pool, "another", "now() - interval '2 years'").await;
    until_fired(pool, "another").await;
    assert_eq!(jobs(pool).await.len(), 2);
    assert!(schedules::enable(conn, "minutely").await.unwrap());
    until_fired(pool, "minutely").await;
    assert_eq!(jobs(pool).await.len(), 3, "one made up for those that were missed meanwhile");
    assert!(schedules::delete(conn, "minutely").await.unwrap());
    let names: Vec<String> = schedules::list(conn).await.unwrap().into_iter().map(|s| s.what.name).collect();
    assert_eq!(names, ["another"]);
    assert_eq!(jobs(pool).await.len(), 3, "its jobs are left alone");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_timing_begins_anew_and_the_same_one_goes_on() {
    let database = database().await;
    let pool = database.pool();
    put(pool, &schedule("s", "* * * * *", Missed::All)).await;
    tick_at(pool, "s", "now() - interval '1 day'").await;
    let missed = get(pool, "s").await.next_at;
    let changed = NewSchedule { args: json!({"n": 2}), ..schedule("s", "* * * * *", Missed::Once) };
    let stored = put(pool, &changed).await;
    assert_eq!((stored.next_at, stored.what), (missed, changed));
    let stored = put(pool, &schedule("s", "5 * * * *", Missed::All)).await;
    assert!(
        stored.next_at > Some(stored.read_at),
        "what was missed by the old timing is no tick of the new one"
    );
    let stored =
        put(pool, &NewSchedule::new("s", Timing::Once(missed.unwrap()), &Work { n: 1 }).unwrap()).await;
    assert_eq!(stored.next_at, missed, "a moment that is past was missed");
}

/// Forty schedules for the same moment, which is fired twice over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jitter_spreads_the_jobs_of_a_tick_and_is_the_same_each_time() {
    let database = database().await;
    let pool = database.pool();
    let tick = now(pool).await;
    let once = |name: &str, seconds: u64| {
        let new = NewSchedule::new(name, Timing::Once(tick), &Work { n: 1 }).unwrap();
        NewSchedule {
            kind: "nobody".to_owned(),
            jitter: Duration::from_secs(seconds),
            args: json!(name),
            ..new
        }
    };
    for n in 0..40 {
        let new = once(&format!("s{n}"), 3600);
        assert_eq!(put(pool, &new).await.what, new);
    }
    put(pool, &once("exact", 0)).await;
    let mut worker = None;
    for _ in 0..2 {
        execute(pool, "update queue.schedules set next_at = date_trunc('hour', now()) - interval '1 hour'")
            .await;
        match &worker {
            None => worker = Some(TestWorker::start(database.url()).await),
            Some(_) => execute(pool, "notify queue_schedules").await,
        }
        for n in 0..40 {
            until_fired(pool, &format!("s{n}")).await;
        }
        until_fired(pool, "exact").await;
    }
    worker.unwrap().stop().await;
    let jobs = sqlx::query!(
        r#"select args as "args!", run_at as "run_at!", turn as "turn!", state = 'scheduled' as "waits!", run_at > now() as "is_ahead!"
           from queue.live_jobs order by args, id"#
    );
    let jobs = jobs.fetch_all(pool).await.unwrap();
    assert_eq!(jobs.len(), 82);
    assert_eq!(get(pool, "s0").await.last_at, Some(tick), "what was fired is the tick");
    for twice in jobs.chunks(2) {
        assert_eq!((&twice[0].args, twice[0].run_at), (&twice[1].args, twice[1].run_at));
        assert_eq!(twice[0].turn, twice[0].run_at);
        let off = twice[0].run_at - tick;
        assert!(off >= TimeDelta::zero() && off <= TimeDelta::hours(1), "{off}");
        assert!(twice[0].waits || !twice[0].is_ahead, "one that is put off waits");
    }
    assert_eq!(jobs[0].run_at, tick, "none is put off that has no jitter");
    let tenths: BTreeSet<_> = jobs[2..].iter().map(|job| (job.run_at - tick).num_minutes() / 6).collect();
    assert!(tenths.len() >= 7, "most tenths of the hour have some: {tenths:?}");
}

#[tokio::test]
async fn what_is_no_good_is_refused_with_a_reason() {
    let database = database().await;
    let mut conn = database.pool().acquire().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    let good = schedule("good", "0 5 * * *", Missed::Once);
    for (bad, expected) in [
        (
            NewSchedule { name: String::new(), ..good.clone() },
            "name \"\" of the schedule must have 1 to 128 characters",
        ),
        (NewSchedule { name: "..".to_owned(), ..good.clone() }, "name \"..\" of the schedule must have"),
        (NewSchedule { name: "☃".repeat(129), ..good.clone() }, "name \"☃☃☃"),
        (NewSchedule { kind: "a\0b".to_owned(), ..good.clone() }, "kind \"a\\0b\" of the schedule must have"),
        (
            NewSchedule { max_attempts: 0, ..good.clone() },
            "max_attempts \"0\" of the schedule must be at least 1",
        ),
        (
            NewSchedule { jitter: Duration::from_secs(3601), ..good.clone() },
            "jitter \"3601s\" of the schedule must be whole seconds, at most an hour",
        ),
        (
            NewSchedule { jitter: Duration::from_millis(1), ..good.clone() },
            "jitter \"1ms\" of the schedule must",
        ),
        (
            NewSchedule { args: json!("a\0b"), ..good.clone() },
            "the payload of a scheduled job contains a NUL character",
        ),
        (
            NewSchedule { timing: cron("0 25 * * *"), ..good.clone() },
            "the cron expression \"0 25 * * *\": hour, at character 3: ",
        ),
        (
            NewSchedule { timing: cron("0 0 31 2 *"), ..good.clone() },
            "the cron expression \"0 0 31 2 *\": day of month, at character 5: ",
        ),
        (
            NewSchedule { timing: cron(", * * * *"), ..good.clone() },
            "the cron expression \", * * * *\": minute, at character 1: a value is missing beside a comma",
        ),
        // The clock of Berlin leaves this out each year.
        (
            NewSchedule { timing: cron("*/30 2 * 3 0L"), ..good.clone() },
            "the cron expression \"*/30 2 * 3 0L\": the whole, at character 1: in Europe/Berlin it does not come within 40",
        ),
        (
            NewSchedule {
                timing: Timing::Cron { expression: "@daily".to_owned(), time_zone: "CEST".to_owned() },
                ..good.clone()
            },
            "time_zone \"CEST\" of the schedule is no name of the IANA database",
        ),
    ] {
        let error = schedules::put(&mut tx, &bad).await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
        assert!(!matches!(error, ScheduleError::Database(_)));
    }
    // Nothing of it broke the transaction.
    schedules::put(&mut tx, &good).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(schedules::list(&mut conn).await.unwrap().len(), 1);
}

/// Somebody changed the row by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_that_cannot_be_read_disables_that_schedule_alone() {
    let database = database().await;
    let pool = database.pool();
    for name in ["cron", "empty", "zone", "good"] {
        put(pool, &schedule(name, "* * * * *", Missed::Once)).await;
        tick_at(pool, name, "now() - interval '1 hour'").await;
    }
    execute(pool, "update queue.schedules set cron = '* * * * * nonsense' where name = 'cron'").await;
    execute(pool, "update queue.schedules set cron = ', * * * *' where name = 'empty'").await;
    execute(pool, "update queue.schedules set time_zone = 'Europe/Atlantis' where name = 'zone'").await;
    let worker = TestWorker::start(database.url()).await;
    until_fired(pool, "good").await;
    for (name, part) in
        [("cron", "it has 6 fields"), ("empty", "minute, at character 1"), ("zone", "Europe/Atlantis")]
    {
        let schedule =
            until("disabled", || async { Some(get(pool, name).await).filter(|s| !s.enabled) }).await;
        let error = schedule.last_error.clone().unwrap();
        assert!(error.contains(part), "{error}");
        schedule.next_ticks(1).unwrap_err();
    }
    assert_eq!(jobs(pool).await.len(), 1);
    // Put right, it goes on.
    let stored = put(pool, &schedule("cron", "* * * * *", Missed::Once)).await;
    assert_eq!((stored.enabled, stored.last_error), (true, None));
    worker.stop().await;
}

/// The clock of the database is set by an hour, forward or back: what is due by it is fired, what is not is
/// not. No code asks the clock of the process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_of_the_clock_is_an_hour_of_ticks() {
    let database = database().await;
    let pool = database.pool();
    let at = now(pool).await;
    let once = |name: &str, at| NewSchedule::new(name, Timing::Once(at), &Work { n: 0 }).unwrap();
    // As the rows look after the clock was set forward, and back.
    put(pool, &once("forward", at - TimeDelta::hours(1))).await;
    put(pool, &once("back", at + TimeDelta::hours(1))).await;
    let worker = TestWorker::start(database.url()).await;
    until_fired(pool, "forward").await;
    assert_eq!(get(pool, "back").await.last_job_id, None);
    assert_eq!(jobs(pool).await.len(), 1);
    worker.stop().await;
}

/// A clock that was ahead for a minute has put the next tick off by years. Nobody waits for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_of_a_clock_that_was_ahead_is_pulled_back() {
    let database = database().await;
    let pool = database.pool();
    let nightly = schedule("nightly", "0 2 * * *", Missed::Once);
    let right = put(pool, &nightly).await.next_at;
    for ahead in ["9 years", "3 days"] {
        let ahead = format!("next_at + interval '{ahead}'");
        tick_at(pool, "nightly", &ahead).await;
        assert_eq!(put(pool, &nightly).await.next_at, right, "put");
        tick_at(pool, "nightly", &ahead).await;
        let mut conn = pool.acquire().await.unwrap();
        assert!(schedules::enable(&mut conn, "nightly").await.unwrap());
        assert_eq!(get(pool, "nightly").await.next_at, right, "enable");
        tick_at(pool, "nightly", &ahead).await;
        let worker = TestWorker::start(database.url()).await;
        until("the leader has pulled it back", || async {
            (get(pool, "nightly").await.next_at == right).then_some(())
        })
        .await;
        worker.stop().await;
    }
}

/// A clock that is put right by a moment does not fire a tick twice, and a moment by hand is nobody's error.
#[tokio::test]
async fn a_tick_that_can_be_right_is_left_alone() {
    let database = database().await;
    let pool = database.pool();
    let nightly = schedule("nightly", "0 2 * * *", Missed::Once);
    put(pool, &nightly).await;
    tick_at(pool, "nightly", "next_at + interval '1 day'").await;
    let moved = get(pool, "nightly").await.next_at;
    assert_eq!(put(pool, &nightly).await.next_at, moved);
    let at = now(pool).await + TimeDelta::days(900);
    let once = NewSchedule { timing: Timing::Once(at), ..nightly.clone() };
    let once = NewSchedule { name: "once".to_owned(), ..once };
    put(pool, &once).await;
    let stored = put(pool, &once).await.next_at.unwrap();
    assert!((stored - at).abs() < TimeDelta::milliseconds(1), "{stored} {at}");
}
