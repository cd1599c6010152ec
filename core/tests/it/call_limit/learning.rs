//! What answers say of the limit, and what refusals do to the pace.

use std::time::Duration;

use resume_core::{
    call_limit::{self, Announced, AnnouncedLimit, CallEnd, Ending, Obstacle, Permit},
    source::definition::SILENCE_USUAL,
};

use super::{Process, SECOND, ended, limit, plenty, state};
use crate::fixture::Fixture;

fn refused(announced: Announced) -> CallEnd {
    CallEnd { announced, ..ended(Ending::Refused) }
}

fn answered(announced: Announced) -> CallEnd {
    CallEnd { announced, ..ended(Ending::Answered) }
}

fn names(calls: u32) -> Announced {
    Announced { limits: vec![AnnouncedLimit { calls, per: Some(SECOND) }], ..Announced::default() }
}

/// So many permits at once, however slowly the limits give them.
async fn permits(process: &Process<'_>, count: usize) -> Vec<Permit> {
    process.ask(count, &plenty(), None).await.permits
}

#[tokio::test]
async fn a_refusal_silences_the_whole_fleet() {
    let fixture = Fixture::new().await;
    let [first, second] = [Process::start(&fixture).await, Process::start(&fixture).await];
    let permit = first.permit().await;
    let announced = Announced { retry_after: Some(10 * SECOND), ..Announced::default() };
    first.end(&permit, &plenty(), &refused(announced)).await;
    let (obstacle, left) = second.obstacle(&plenty()).await.unwrap();
    assert_eq!(obstacle, Obstacle::Silence);
    assert!(left > 9 * SECOND && left <= 11 * SECOND, "with some jitter: {left:?}");
    let state = state(&fixture).await;
    assert!(state.silent_until.is_some());
    assert_eq!((state.refused, state.silences, state.failed), (1, 1, 0));
}

#[tokio::test]
async fn silences_have_bounds() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permits = permits(&process, 3).await;
    for (permit, wait, expected) in [
        (&permits[0], None, SECOND),
        (&permits[1], Some(Duration::ZERO), SECOND),
        (&permits[2], Some(86_400 * SECOND), 3600 * SECOND),
    ] {
        let announced = Announced { retry_after: wait, ..Announced::default() };
        let end = refused(announced.at_most(SILENCE_USUAL));
        assert_eq!(call_limit::silence_of(&plenty(), &end), Some(expected));
        process.end(permit, &plenty(), &end).await;
    }
    let left = process.obstacle(&plenty()).await.unwrap().1;
    assert!(left > 3590 * SECOND && left < 3970 * SECOND, "{left:?}");
    let shorter = refused(Announced { retry_after: Some(SECOND), ..Announced::default() });
    process.end(&permits[0], &plenty(), &shorter).await;
    assert!(process.obstacle(&plenty()).await.unwrap().1 > 3500 * SECOND, "a shorter one ends no longer one");
}

/// After a silence calls are spaced as ever: no burst is saved up in it.
#[tokio::test]
async fn a_silence_saves_nothing_up() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let burst = [resume_core::source::definition::Limit { burst: 20, ..limit(30, SECOND) }];
    let permit = process.ask(1, &burst, None).await.permits[0];
    let end = refused(Announced { retry_after: Some(SECOND), ..Announced::default() });
    process.end(&permit, &burst, &end).await;
    let answer = process.ask_within(16, &burst, None, Duration::ZERO, 2 * SECOND).await;
    let spread = answer.permits.last().unwrap().departs_at - answer.permits[0].departs_at;
    assert!(spread.as_seconds_f64() > 0.09 * (answer.permits.len() - 1) as f64, "{answer:?}");
}

/// The fleet has several calls under way when the limit is hit: they are one lot.
#[tokio::test]
async fn refusals_of_one_lot_slow_down_once() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    for permit in permits(&process, 8).await {
        process.end(&permit, &plenty(), &refused(Announced::default())).await;
    }
    let state = state(&fixture).await;
    assert!((0.69..0.75).contains(&state.pace), "{}", state.pace);
    assert_eq!((state.refused, state.failures_in_row, state.openings), (8, 1, 0));
}

#[tokio::test]
async fn the_pace_recovers_in_a_minute_and_has_a_floor() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [limit(30, SECOND)];
    let pass = async |seconds: f64| {
        let update = sqlx::query!(
            "update call_limits set paced_at = paced_at - make_interval(secs => $1), silent_until = null,
                    open_until = null, refused_at = refused_at - interval '1 s', next_at = array[now()]",
            seconds
        );
        update.execute(fixture.pool()).await.unwrap();
    };
    for _ in 0..20 {
        let permit = process.ask(1, &limits, None).await.permits[0];
        process.end(&permit, &limits, &refused(Announced::default())).await;
        pass(0.0).await;
    }
    assert!((1.0 / 16.0..0.09).contains(&state(&fixture).await.pace));
    pass(30.0).await;
    let half = state(&fixture).await;
    assert!((0.55..0.65).contains(&half.pace), "{}", half.pace);
    assert!((half.calls_per_second.unwrap() - half.pace * 30.0 / 1.02).abs() < 1.0);
    pass(60.0).await;
    assert_eq!(state(&fixture).await.pace, 1.0);
}

#[tokio::test]
async fn a_lower_limit_that_is_told_is_kept_until_a_higher_one_is() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [limit(30, SECOND)];
    let next = async |end: &CallEnd| {
        let ready = sqlx::query!(
            "update call_limits set silent_until = null, next_at = array_fill(now(), array[cardinality(next_at)])"
        );
        ready.execute(fixture.pool()).await.unwrap();
        let mut permits = process.ask(1, &limits, None).await.permits;
        while permits.is_empty() {
            // After a change of limits the next call is one interval away.
            permits = process.ask_within(1, &limits, None, Duration::ZERO, SECOND).await.permits;
        }
        process.end(&permits[0], &limits, end).await;
        state(&fixture).await
    };
    let ten = Some(AnnouncedLimit { calls: 10, per: Some(SECOND) });
    assert_eq!(next(&answered(names(30))).await.announced, None);
    assert_eq!(next(&answered(names(10))).await.announced, ten);
    let slow = next(&answered(names(10))).await;
    assert_eq!((slow.announced, slow.calls_per_second), (ten, Some(1.0 / 0.102)));
    assert_eq!(
        next(&ended(Ending::Failed)).await.announced,
        ten,
        "an error that says nothing changes nothing"
    );
    assert_eq!(next(&refused(names(10))).await.pace, 1.0, "who names the limit is not slowed down blindly");
    assert_eq!(next(&answered(names(100))).await.announced, ten, "another endpoint may allow more");
    forget_after_a_minute(&fixture).await;
    assert_eq!(next(&answered(names(100))).await.announced, None, "never above the configured");
    assert_eq!(next(&answered(names(10))).await.announced, ten);
    assert_eq!(
        next(&answered(Announced::default())).await.announced,
        ten,
        "another endpoint may tell nothing"
    );
    forget_after_a_minute(&fixture).await;
    let gone = next(&answered(Announced::default())).await;
    assert_eq!(gone.announced, None);
    assert_eq!(next(&answered(Announced::default())).await.calls_per_second, Some(1.0 / 0.034));
}

/// Has a limit that was told last be told a minute ago.
async fn forget_after_a_minute(fixture: &Fixture) {
    let age = sqlx::query!("update call_limits set announced_at = announced_at - interval '61 s'");
    age.execute(fixture.pool()).await.unwrap();
}

/// Lists tell a limit, details tell none or another one: the lowest holds, and no turn is reset from call to
/// call.
#[tokio::test]
async fn what_endpoints_tell_differently_settles() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [resume_core::source::definition::Limit { burst: 100, ..limit(1000, SECOND) }];
    let rows = async || {
        let row = sqlx::query_scalar!(
            r#"select xmin::text as "version!" from call_limits where announced_calls = 20"#
        );
        row.fetch_optional(fixture.pool()).await.unwrap()
    };
    let lists = names(20);
    for details in [Announced::default(), names(100), names(5000)] {
        let mut seen = Vec::new();
        for announced in [&lists, &details, &lists, &details, &lists] {
            let mut permits = process.ask(1, &limits, None).await.permits;
            if permits.is_empty() {
                permits = process.ask_within(1, &limits, None, Duration::ZERO, SECOND).await.permits;
            }
            let before = rows().await;
            process.end(&permits[0], &limits, &answered(announced.clone())).await;
            seen.push(before.is_none() || before == rows().await);
        }
        assert_eq!(state(&fixture).await.announced.map(|announced| announced.calls), Some(20), "{details:?}");
        assert!(seen.iter().all(|is_settled| *is_settled), "{details:?}: {seen:?}");
    }
}

#[tokio::test]
async fn a_quota_that_others_have_used_up_is_waited_for() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let limits = [limit(30, SECOND)];
    let left_s = async |announced: Announced| {
        let permit = process.ask_within(1, &limits, None, Duration::ZERO, SECOND).await.permits[0];
        process.end(&permit, &limits, &answered(announced)).await;
        process.obstacle(&limits).await.map(|(obstacle, left)| (obstacle, left.as_secs()))
    };
    let our_own = Announced { exhausted_for: Some(SECOND), ..Announced::default() };
    assert_ne!(left_s(our_own).await.map(|(obstacle, _)| obstacle), Some(Obstacle::Silence));
    let theirs = Announced { exhausted_for: Some(100 * SECOND), ..Announced::default() };
    let (obstacle, left) = left_s(theirs).await.unwrap();
    assert!(obstacle == Obstacle::Silence && (98..=110).contains(&left), "{obstacle:?} {left}");
}

/// 503 with `Retry-After`: the source works on something.
#[tokio::test]
async fn a_source_that_is_overloaded_is_left_in_peace() {
    let fixture = Fixture::new().await;
    let process = Process::start(&fixture).await;
    let permit = process.permit().await;
    let announced = Announced { retry_after: Some(7 * SECOND), ..Announced::default() };
    process.end(&permit, &plenty(), &CallEnd { announced, ..ended(Ending::Failed) }).await;
    assert_eq!(process.obstacle(&plenty()).await.unwrap().0, Obstacle::Silence);
    let state = state(&fixture).await;
    assert_eq!((state.failed, state.refused, state.pace), (1, 0, 1.0));
}
