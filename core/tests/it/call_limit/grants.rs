//! Permits: never more than allowed, whoever asks at the same time and whatever crashed before.

use std::time::Duration;

use resume_core::{
    call_limit::{self, Announced, AnnouncedLimit, CallEnd, Ending, MARGIN, Obstacle, Void},
    db::migrators,
    source::definition::{Limit, SILENCE_USUAL},
};
use resume_postgres::{RestartMode, testing::TestDatabase};
use tokio::time::Instant;

use super::{HORIZON, Process, SECOND, ended, limit, plenty, state};
use crate::fixture::{Fixture, NUMBERED, in_time};

/// Eight processes ask as fast as they can. All together get what one would.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_ask_at_once_share_one_limit() {
    const CALLS: u32 = 100;
    let fixture = Fixture::new().await;
    let limits = [limit(CALLS, SECOND)];
    let mut departures = Vec::new();
    let end = Instant::now() + 2 * SECOND;
    let mut processes = Vec::new();
    for _ in 0..8 {
        processes.push(Process::start(&fixture).await);
    }
    let asking = processes.iter().map(async |process| {
        let mut permits = Vec::new();
        while Instant::now() < end {
            permits.extend(process.ask(16, &limits, None).await.permits);
        }
        permits
    });
    for permits in join_all(asking).await {
        departures.extend(permits.into_iter().map(|permit| permit.departs_at));
    }
    departures.sort();
    let stretch = (SECOND + MARGIN).as_secs_f64();
    for calls in departures.windows(CALLS as usize + 1) {
        assert!((calls[CALLS as usize] - calls[0]).as_seconds_f64() >= stretch);
    }
    let span = (*departures.last().unwrap() - departures[0]).as_seconds_f64();
    let rate = (departures.len() - 1) as f64 / span;
    assert!(rate > f64::from(CALLS) * 0.93, "{rate} calls/s");
    assert_eq!(state(&fixture).await.granted, departures.len() as i64);
}

/// Runs futures side by side in this task.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

/// Nothing is granted beyond the horizon: that is what a process that dies takes with it.
#[tokio::test]
async fn nobody_gets_more_than_the_horizon_holds() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let first = process.ask(16, &[limit(30, SECOND)], None).await;
    assert_eq!(first.permits.len(), 2, "now and 34 ms later");
    let (obstacle, ask_in) = first.obstacle.unwrap();
    assert_eq!(obstacle, Obstacle::Limit);
    assert!(ask_in <= Duration::from_millis(68) - HORIZON + Duration::from_millis(1), "{ask_in:?}");
    let slow = Fixture::new().await;
    let process = Process::start(&slow).await;
    let first = process.ask(3, &[limit(1, 60 * SECOND)], None).await;
    assert_eq!(first.permits.len(), 1);
    let ask_in = first.obstacle.unwrap().1;
    assert!(ask_in > 59 * SECOND && ask_in < 61 * SECOND, "{ask_in:?}");
}

/// A permit whose time is over when the answer is there is worth nothing.
#[tokio::test]
async fn no_call_leaves_before_its_answer_is_there() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let lead = Duration::from_millis(100);
    let answer = process.ask_within(16, &[limit(30, SECOND)], None, lead, HORIZON).await;
    let departures: Vec<f64> =
        answer.permits.iter().map(|p| (p.departs_at - answer.at).as_seconds_f64()).collect();
    assert_eq!(departures, [0.1, 0.134]);
}

/// Racing claims: never more calls under way than allowed.
#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_never_overspent() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = plenty();
    for round in 0..10 {
        let asking = (0..6).map(|_| process.ask(3, &limits, Some(4)));
        let permits: Vec<_> = join_all(asking).await.into_iter().flat_map(|answer| answer.permits).collect();
        assert_eq!(permits.len(), 4, "round {round}");
        assert_eq!(state(&fixture).await.under_way, 4);
        let full = process.ask(1, &plenty(), Some(4)).await;
        assert_eq!((full.permits, full.obstacle.unwrap().0), (Vec::new(), Obstacle::Concurrency));
        for permit in &permits {
            process.end(permit, &plenty(), &ended(Ending::Answered)).await;
        }
    }
}

/// What a dead worker had under way counts as long as nobody has noticed, and not longer than any call takes.
#[tokio::test]
async fn the_calls_of_the_dead_do_not_count() {
    let fixture = Fixture::new().await;
    let [dead, stopped, living] =
        [Process::start(&fixture).await, Process::start(&fixture).await, Process::start(&fixture).await];
    for process in [&dead, &stopped, &living] {
        assert_eq!(process.ask(1, &plenty(), Some(3)).await.permits.len(), 1);
    }
    assert_eq!(living.ask(1, &plenty(), Some(3)).await.obstacle.unwrap().0, Obstacle::Concurrency);
    let absence = async |process: &Process<'_>, seconds: f64| {
        let update = sqlx::query!(
            "update queue.workers set absent_since = now() - make_interval(secs => $2), absent_seen_at = now() where id = $1",
            process.id,
            seconds
        );
        update.execute(fixture.pool()).await.unwrap();
    };
    absence(&dead, 0.2).await;
    assert_eq!(state(&fixture).await.under_way, 3, "a moment is not an absence");
    absence(&dead, 1.5).await;
    assert_eq!(state(&fixture).await.under_way, 2);
    let stop = sqlx::query!("update queue.workers set stopped_at = now() where id = $1", stopped.id);
    stop.execute(fixture.pool()).await.unwrap();
    assert_eq!(living.ask(9, &plenty(), Some(3)).await.permits.len(), 2);
    let age = sqlx::query!("update call_ledger set departs_at = departs_at - interval '36 s'");
    age.execute(fixture.pool()).await.unwrap();
    assert_eq!(state(&fixture).await.under_way, 0);
}

/// A permit that was not used leaves its place to nobody, but is not under way either.
#[tokio::test]
async fn a_missed_permit_is_over() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permit = process.permit().await;
    for _ in 0..2 {
        let mut conn = fixture.pool().acquire().await.unwrap();
        call_limit::void(&mut conn, NUMBERED, &permit, Void::Missed).await.unwrap();
    }
    let state = state(&fixture).await;
    assert_eq!((state.granted, state.missed, state.under_way), (1, 1, 0));
}

/// Changed limits hold at once, and nothing is saved up by changing them.
#[tokio::test]
async fn a_change_of_limits_is_no_way_around_them() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let mut granted = 0;
    for calls in 20..40 {
        granted += process.ask(16, &[limit(calls, SECOND)], None).await.permits.len();
    }
    assert!(granted <= 2, "{granted} calls at once");
    let slow = process.ask(1, &[limit(1, 3600 * SECOND)], None).await.obstacle.unwrap();
    assert!(slow.1 > 3500 * SECOND);
    let quick = process.ask(1, &[limit(30, SECOND)], None).await.obstacle.unwrap();
    assert!(quick.1 < SECOND, "what the slow limit had planned is forgotten: {quick:?}");
}

/// Postgres crashes right after grants whose commits have not reached the disk: they count as used.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_forgets_no_call() {
    let database = TestDatabase::on_own_cluster(&migrators()).await.unwrap();
    let fixture = Fixture::on(database).await;
    let process = Process::start(&fixture).await;
    let burst = [Limit { burst: 20, ..limit(30, 60 * SECOND) }];
    assert_eq!(process.ask(16, &burst, None).await.permits.len(), 16);
    let warm = async || {
        let count = sqlx::query_scalar!(r#"select count(*) as "count!" from call_limits_warm"#);
        count.fetch_one(fixture.pool()).await.unwrap()
    };
    // One is earned back every five seconds.
    for (mode, left) in [(RestartMode::Fast, 4..=5), (RestartMode::Immediate, 0..=0)] {
        let cluster = fixture.database.cluster().clone();
        let restarting = tokio::task::spawn_blocking(move || cluster.restart(mode));
        in_time("Postgres is back", restarting).await.unwrap().unwrap();
        while fixture.pool().acquire().await.is_err() {}
        assert_eq!(warm().await, i64::from(mode == RestartMode::Fast));
        let permits = process.ask(16, &burst, None).await.permits.len();
        assert!(left.contains(&permits), "{mode:?}: {permits}");
    }
    let wait = process.ask(1, &burst, None).await.obstacle.unwrap().1;
    assert!(wait <= 6 * SECOND, "the even rate goes on: {wait:?}");
}

#[tokio::test]
async fn an_unknown_source_is_an_error() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let caller = call_limit::Caller { collection_id: uuid::Uuid::nil(), call_id: 1, waited: Duration::ZERO };
    let demand = call_limit::Demand {
        source: "nobody",
        worker_id: process.id,
        callers: &[caller],
        limits: &plenty(),
        concurrency: None,
        lead: Duration::ZERO,
        horizon: HORIZON,
        silence_max: SILENCE_USUAL,
    };
    call_limit::grant(&mut conn, &demand).await.unwrap_err();
}

/// The database's clock was ahead, by minutes or by years, and was set back: what it left keeps nobody
/// waiting.
#[tokio::test]
async fn a_clock_that_was_ahead_is_waited_for_by_nobody() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [limit(30, SECOND)];
    let permit = process.ask(1, &limits, None).await.permits[0];
    let announced = Announced { retry_after: Some(2 * SECOND), ..Announced::default() };
    process.end(&permit, &limits, &CallEnd { announced, ..ended(Ending::Refused) }).await;
    for ahead in ["10 min", "3 h", "9 years"] {
        let set_back = sqlx::query!(
            "update call_limits
             set silent_until = now() + $1::text::interval + interval '2 s',
                 silent_since = now() + $1::text::interval,
                 next_at = array(select now() + $1::text::interval from unnest(next_at)),
                 paced_at = now() + $1::text::interval, refused_at = now() + $1::text::interval, pace = 0.5,
                 open_until = now() + '9 years', probe_id = 7, probe_until = now() + '9 years'",
            ahead
        );
        set_back.execute(fixture.pool()).await.unwrap();
        let answer = process.ask_within(1, &limits, None, Duration::ZERO, 3 * SECOND).await;
        assert_eq!(answer.permits.len(), 1, "{ahead}: {answer:?}");
        process.end(&answer.permits[0], &limits, &ended(Ending::Answered)).await;
        let state = state(&fixture).await;
        assert_eq!((state.silent_until, state.circuit), (None, call_limit::Circuit::Closed), "{ahead}");
        assert!(state.pace < 0.6, "{ahead}: it recovers from now on: {}", state.pace);
    }
    let only_the_silence =
        sqlx::query!("update call_limits set silent_until = now() + interval '2 h', silent_since = null");
    only_the_silence.execute(fixture.pool()).await.unwrap();
    let obstacle = process.obstacle(&limits).await.map(|(obstacle, _)| obstacle);
    assert_ne!(obstacle, Some(Obstacle::Silence), "no source gets so long a silence");
}

/// A limit that is told holds beside the configured ones: it neither resets their turns nor gives them away.
#[tokio::test]
async fn a_told_limit_leaves_the_other_turns_alone() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let hourly = [Limit { burst: 50, ..limit(100, 3600 * SECOND) }];
    let permit = process.ask(1, &hourly, None).await.permits[0];
    let announced =
        Announced { limits: vec![AnnouncedLimit { calls: 10, per: Some(SECOND) }], ..Announced::default() };
    process.end(&permit, &hourly, &CallEnd { announced, ..ended(Ending::Answered) }).await;
    assert_eq!(process.ask(1, &hourly, None).await.permits.len(), 0, "of what is new nothing is saved up");
    let answer = process.ask_within(5, &hourly, None, Duration::ZERO, SECOND).await;
    assert_eq!(answer.permits.len(), 5, "the burst is not lost: {answer:?}");
}
