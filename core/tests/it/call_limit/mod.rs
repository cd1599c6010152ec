//! The fleet-wide limit of calls: what is granted to whom and when, and what the ends of calls do to it.

mod circuit;
mod departures;
mod evidence;
mod grants;
mod learning;
mod recent;

use std::time::Duration;

use resume_core::{
    call_limit::{self, Announced, Answer, CallEnd, Caller, Demand, Ending, Permit, State},
    source::definition::{Interval, Limit, SILENCE_USUAL},
};
use uuid::Uuid;

use crate::fixture::{Fixture, NUMBERED};

const SECOND: Duration = Duration::from_secs(1);
const HORIZON: Duration = Duration::from_millis(65);

fn limit(calls: u32, per: Duration) -> Limit {
    Limit { calls, per: Interval(per), burst: 1 }
}

/// So many calls that none of these tests meets the limit.
fn plenty() -> Vec<Limit> {
    vec![Limit { burst: 500_000, ..limit(1_000_000, SECOND) }]
}

/// A worker process as the limit sees it.
struct Process<'a> {
    fixture: &'a Fixture,
    id: i64,
}

impl<'a> Process<'a> {
    async fn start(fixture: &'a Fixture) -> Self {
        let id = sqlx::query_scalar!("insert into queue.workers (name) values ('test') returning id");
        Self { fixture, id: id.fetch_one(fixture.pool()).await.unwrap() }
    }

    /// Asks for leave for so many callers.
    async fn ask(&self, callers: usize, limits: &[Limit], concurrency: Option<u32>) -> Answer {
        self.ask_within(callers, limits, concurrency, Duration::ZERO, HORIZON).await
    }

    async fn ask_within(
        &self,
        callers: usize,
        limits: &[Limit],
        concurrency: Option<u32>,
        lead: Duration,
        horizon: Duration,
    ) -> Answer {
        let caller = Caller { collection_id: Uuid::from_u128(7), call_id: 1, waited: Duration::ZERO };
        let callers = vec![caller; callers];
        let demand = Demand {
            source: NUMBERED,
            worker_id: self.id,
            callers: &callers,
            limits,
            concurrency,
            lead,
            horizon,
            silence_max: SILENCE_USUAL,
        };
        let mut conn = self.fixture.pool().acquire().await.unwrap();
        call_limit::grant(&mut conn, &demand).await.unwrap()
    }

    /// A permit, with nothing in its way.
    async fn permit(&self) -> Permit {
        let answer = self.ask(1, &plenty(), None).await;
        *answer.permits.first().unwrap_or_else(|| panic!("no permit: {answer:?}"))
    }

    /// The end of a permit's call.
    async fn end(&self, permit: &Permit, limits: &[Limit], end: &CallEnd) {
        call_limit::end(self.fixture.pool(), NUMBERED, permit, limits, end).await.unwrap();
    }

    /// A call from its permit to its end.
    async fn call(&self, ending: Ending) {
        let permit = self.permit().await;
        self.end(&permit, &plenty(), &ended(ending)).await;
    }

    /// What keeps it from calling, if anything does.
    async fn obstacle(&self, limits: &[Limit]) -> Option<(call_limit::Obstacle, Duration)> {
        let answer = self.ask(1, limits, None).await;
        for permit in &answer.permits {
            let mut conn = self.fixture.pool().acquire().await.unwrap();
            call_limit::void(&mut conn, NUMBERED, permit, call_limit::Void::Missed).await.unwrap();
        }
        answer.obstacle
    }
}

fn ended(ending: Ending) -> CallEnd {
    CallEnd {
        late: Duration::ZERO,
        took: Duration::from_millis(3),
        status: None,
        code: (ending != Ending::Answered).then(|| "failed".to_owned()),
        bytes: 10,
        ending,
        announced: Announced::default(),
    }
}

async fn state(fixture: &Fixture) -> State {
    call_limit::state(fixture.pool(), NUMBERED).await.unwrap().unwrap()
}
