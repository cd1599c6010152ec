use std::time::Duration;

use sqlx::PgConnection;

use super::{Pass, Service};
use crate::{
    schedules::fire::{fire_due, next_due},
    session::Shared,
};

/// The longest time between two looks when no schedule is changed: for one that was changed by hand, or by a clock that was
/// set.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// The shortest, as while somebody holds the lock of a schedule that is due.
const LOOK_MIN: Duration = Duration::from_millis(500);

/// Fires the schedules that are due, and sleeps until the next one is.
#[derive(Debug)]
pub(crate) struct Schedules;

impl Service for Schedules {
    const NAME: &'static str = "schedules";
    const RUN_MAX: Duration = Duration::from_secs(60);
    const RETRY: Duration = Duration::from_secs(1);

    async fn run(&mut self, _: &Shared, conn: &mut PgConnection) -> Result<Pass, sqlx::Error> {
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

    async fn woken(shared: &Shared) {
        shared.schedules_changed.notified().await;
    }
}
