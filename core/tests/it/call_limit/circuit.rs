//! The circuit: it opens when a source does not work, lets one call probe it, and can be switched by hand.

use std::time::Duration;

use resume_core::call_limit::{
    self, Announced, AnnouncedLimit, CallEnd, Circuit, Ending, Obstacle, Released, Void,
};

use super::{Process, SECOND, ended, limit, plenty, state};
use crate::fixture::{Fixture, NEXT_LINK, NUMBERED, collection_of};

/// Lets the time for which the circuit is open be over.
async fn wait_until_half_open(fixture: &Fixture) {
    let update = sqlx::query!("update call_limits set open_until = now() where open_until is not null");
    assert_eq!(update.execute(fixture.pool()).await.unwrap().rows_affected(), 1);
    assert_eq!(state(fixture).await.circuit, Circuit::HalfOpen);
}

/// How long the circuit will be open, by asking.
async fn open_for(process: &Process<'_>) -> Duration {
    let (obstacle, left) = process.obstacle(&plenty()).await.expect("the circuit is open");
    assert_eq!(obstacle, Obstacle::Open);
    left
}

#[tokio::test]
async fn failures_in_a_row_open_it_and_a_success_closes_it() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    for ending in [Ending::Failed, Ending::Failed, Ending::Failed, Ending::Failed, Ending::Answered] {
        process.call(ending).await;
    }
    assert_eq!(state(&fixture).await.circuit, Circuit::Closed, "four are not five in a row");
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    let left = open_for(&process).await;
    assert!(left > 4 * SECOND && left <= 5 * SECOND, "{left:?}");
    assert!(matches!(state(&fixture).await.circuit, Circuit::Open(_)));

    wait_until_half_open(&fixture).await;
    let both = process.ask(2, &plenty(), None).await;
    assert_eq!(both.permits.len(), 1, "one call probes it");
    assert_eq!(both.obstacle.unwrap().0, Obstacle::Open);
    assert!(open_for(&process).await <= SECOND, "it is soon known");
    process.end(&both.permits[0], &plenty(), &ended(Ending::Answered)).await;
    assert_eq!(process.obstacle(&plenty()).await, None);
    let state = state(&fixture).await;
    assert_eq!((state.circuit, state.failures_in_row, state.openings), (Circuit::Closed, 0, 1));
    assert_eq!(state.failed, 9);
}

#[tokio::test]
async fn each_probe_that_fails_opens_it_for_twice_as_long() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    for seconds in [10, 20, 40, 80, 160, 300, 300] {
        wait_until_half_open(&fixture).await;
        process.call(Ending::Failed).await;
        let left = open_for(&process).await;
        assert!(left > SECOND * (seconds - 1) && left <= SECOND * seconds, "{left:?}, not {seconds} s");
    }
}

/// The fleet has many calls under way when the circuit opens. Their failures say nothing new.
#[tokio::test]
async fn calls_that_were_under_way_open_it_once() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permits = process.ask(12, &plenty(), None).await.permits;
    for permit in &permits {
        process.end(permit, &plenty(), &ended(Ending::Failed)).await;
    }
    assert_eq!(state(&fixture).await.openings, 1);
    assert!(open_for(&process).await <= 5 * SECOND);
}

#[tokio::test]
async fn a_door_that_is_shut_is_not_called_on() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    process.call(Ending::Denied).await;
    process.call(Ending::Denied).await;
    assert_eq!(state(&fixture).await.circuit, Circuit::Closed);
    process.call(Ending::Denied).await;
    assert!(matches!(state(&fixture).await.circuit, Circuit::Open(_)), "the credentials are no good");
}

/// The worker that probes dies, or its permit comes to nothing.
#[tokio::test]
async fn a_lost_probe_is_followed_by_another() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    wait_until_half_open(&fixture).await;
    let lost = process.permit().await;
    assert_eq!(open_for(&process).await, SECOND);
    let mut conn = fixture.pool().acquire().await.unwrap();
    call_limit::void(&mut conn, NUMBERED, &lost, Void::Missed).await.unwrap();
    drop(conn);
    process.permit().await;
    assert_eq!(open_for(&process).await, SECOND);
    let age = sqlx::query!("update call_limits set probe_until = now() where probe_id is not null");
    assert_eq!(age.execute(fixture.pool()).await.unwrap().rows_affected(), 1);
    process.permit().await;
}

/// The process that probes is killed: nobody will tell how the call ended.
#[tokio::test]
async fn the_probe_of_a_dead_worker_is_not_waited_for() {
    let fixture = Fixture::new().await;
    let (process, other) = (Process::start(&fixture).await, Process::start(&fixture).await);
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    wait_until_half_open(&fixture).await;
    process.permit().await;
    assert_eq!(open_for(&other).await, SECOND);
    let missed = sqlx::query!(
        "update queue.workers set absent_since = now() - interval '2 s', absent_seen_at = now() where id = $1",
        process.id
    );
    missed.execute(fixture.pool()).await.unwrap();
    other.permit().await;
    assert_eq!(open_for(&other).await, SECOND, "that one is waited for");
}

/// What another host answers neither opens nor closes it, and changes nothing of the limits that are known.
#[tokio::test]
async fn a_call_aside_says_nothing_of_the_source() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permits = process.ask(7, &plenty(), None).await.permits;
    let announced = Announced {
        limits: vec![AnnouncedLimit { calls: 10_000, per: Some(SECOND) }],
        ..Announced::default()
    };
    process.end(&permits[0], &plenty(), &CallEnd { announced, ..ended(Ending::Answered) }).await;
    for permit in &permits[1..5] {
        process.end(permit, &plenty(), &ended(Ending::Failed)).await;
    }
    let known = state(&fixture).await;
    assert_eq!((known.announced.map(|announced| announced.calls), known.failures_in_row), (Some(10_000), 4));
    for permit in &permits[5..] {
        process.end(permit, &plenty(), &ended(Ending::Aside)).await;
    }
    let now = state(&fixture).await;
    assert_eq!((now.announced, now.failures_in_row, now.under_way), (known.announced, 4, 0));
}

#[tokio::test]
async fn a_call_aside_probes_nothing() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    wait_until_half_open(&fixture).await;
    process.call(Ending::Aside).await;
    assert_eq!(state(&fixture).await.circuit, Circuit::HalfOpen);
    process.permit().await;
}

#[tokio::test]
async fn it_can_be_switched_by_hand() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    assert_eq!(call_limit::release(&mut conn, NUMBERED).await.unwrap(), Released::default());
    for _ in 0..2 {
        call_limit::hold(&mut conn, NUMBERED).await.unwrap();
    }
    let (obstacle, left) = process.obstacle(&plenty()).await.unwrap();
    assert_eq!((obstacle, left), (Obstacle::Held, 30 * SECOND));
    assert!(matches!(state(&fixture).await.circuit, Circuit::Held(_)));
    assert!(call_limit::release(&mut conn, NUMBERED).await.unwrap().was_stopped);
    for _ in 0..5 {
        process.call(Ending::Failed).await;
    }
    let released = call_limit::release(&mut conn, NUMBERED).await.unwrap();
    assert!(released.was_stopped, "an open circuit is closed by hand");
    assert_eq!(process.obstacle(&plenty()).await, None);
    call_limit::hold(&mut conn, "nobody").await.unwrap_err();
}

/// A source may ask for a silence by mistake. What it does to the turns ends with it; the limit holds.
#[tokio::test]
async fn a_silence_can_be_ended_by_hand() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [limit(1, SECOND)];
    let permit = process.ask(1, &limits, None).await.permits[0];
    let announced = Announced { retry_after: Some(3600 * SECOND), ..Announced::default() };
    process.end(&permit, &limits, &CallEnd { announced, ..ended(Ending::Refused) }).await;
    let silent_until = state(&fixture).await.silent_until;
    let mut conn = fixture.pool().acquire().await.unwrap();
    let released = call_limit::release(&mut conn, NUMBERED).await.unwrap();
    assert_eq!(released, Released { was_stopped: false, silent_until });
    assert!(silent_until.is_some() && state(&fixture).await.silent_until.is_none());
    let (obstacle, left) = process.obstacle(&limits).await.unwrap();
    assert!(obstacle == Obstacle::Limit && left < 4 * SECOND, "{obstacle:?} {left:?}");
}

/// Jobs that were told to come back when the circuit half opens, or to look after a hold now and then.
#[tokio::test]
async fn who_waits_for_the_circuit_looks_again_when_it_is_released() {
    let fixture = Fixture::new().await;
    fixture.start(&collection_of(50, NUMBERED)).await;
    let put_off = sqlx::query!(
        "update queue.live_jobs set state = 'scheduled', run_at = now() + interval '1 h' where kind = 'make_call' returning id"
    );
    let put_off = put_off.fetch_all(fixture.pool()).await.unwrap().len();
    let available = async || {
        let query = sqlx::query_scalar!(
            r#"select count(*) as "n!" from queue.live_jobs where state = 'available' and run_at <= now()"#
        );
        query.fetch_one(fixture.pool()).await.unwrap()
    };
    let mut conn = fixture.pool().acquire().await.unwrap();
    call_limit::release(&mut conn, NEXT_LINK).await.unwrap();
    assert_eq!(available().await, 0, "they are of another source");
    call_limit::release(&mut conn, NUMBERED).await.unwrap();
    assert_eq!(available().await, i64::try_from(put_off).unwrap());
    assert_eq!(put_off, 5);
}

/// Nobody's answer ends what a person has decided.
#[tokio::test]
async fn a_success_does_not_release() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permit = process.permit().await;
    let mut conn = fixture.pool().acquire().await.unwrap();
    call_limit::hold(&mut conn, NUMBERED).await.unwrap();
    process.end(&permit, &plenty(), &ended(Ending::Answered)).await;
    assert_eq!(process.obstacle(&plenty()).await.unwrap().0, Obstacle::Held);
}
