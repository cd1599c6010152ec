use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::PgConnection;

use super::{ACQUIRE_MAX, BATCHES_MAX, Pass, RECORD_MAX, Service};
use crate::{
    schedules::{
        GRACE_S,
        fire::{fire_due, next_due},
        pull_back::pull_back,
    },
    session::Shared,
};

/// The longest time between two looks when no schedule is changed: for one that was changed by hand, or by a
/// clock that was set.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// The shortest, as while somebody holds the lock of a schedule that is due.
const LOOK_MIN: Duration = Duration::from_millis(500);

/// How often all schedules are looked at for ticks that are too far away.
const PULL_BACK_EVERY: Duration = Duration::from_secs(60);

/// Fires the schedules that are due, and sleeps until the next one is.
#[derive(Debug)]
pub(crate) struct Schedules {
    shared: Arc<Shared>,
    pulled_back: Option<Instant>,
}

impl Schedules {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pulled_back: None }
    }
}

/// The next try must come in time for a tick that is late and not missed yet.
const _: () = {
    let given_up = BATCHES_MAX.as_secs() + ACQUIRE_MAX.as_secs() + RECORD_MAX.as_secs();
    assert!(given_up + Schedules::RETRY.as_secs() < GRACE_S.unsigned_abs() / 2);
};

impl Service for Schedules {
    const NAME: &'static str = "schedules";
    const RUN_MAX: Duration = BATCHES_MAX;
    const RETRY: Duration = Duration::from_secs(1);

    async fn run(&mut self, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
        if self.pulled_back.is_none_or(|at| at.elapsed() >= PULL_BACK_EVERY) {
            pull_back(conn, None).await?;
            self.pulled_back = Some(Instant::now());
        }
        let mut affected = 0;
        let next = loop {
            let next = next_due(conn).await?;
            if next.is_some_and(|next| next.is_zero()) {
                let fired = fire_due(conn).await?;
                affected += fired.jobs as u64;
                if fired.schedules > 0 {
                    continue;
                }
            }
            break next;
        };
        let next = match next {
            Some(Duration::ZERO) => LOOK_MIN,
            // A sleep may end a little before the time, by the database's clock.
            Some(next) => next.max(Duration::from_millis(1)).min(LOOK_MAX),
            None => LOOK_MAX,
        };
        Ok(Pass { affected, next })
    }

    async fn woken(&self) {
        self.shared.schedules_changed.notified().await;
    }
}
