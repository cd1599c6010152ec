use std::{
    collections::HashMap,
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use crate::{Blow, Moment, Point, Statement};

/// What all connections of one worker share: the count of its statements, and the point that is armed.
#[derive(Debug)]
pub(crate) struct Wire {
    armed: Option<Point>,
    counts: Mutex<HashMap<Statement, u32>>,
    state: watch::Sender<State>,
}

/// What has happened to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing yet.
    Whole,
    /// One connection was hit.
    Hit,
    /// All connections of that time are to close.
    Outage,
    /// Nothing passes any more: the process is to be killed.
    Aborted,
}

impl Wire {
    pub(crate) fn new(armed: Option<Point>) -> Self {
        Self { armed, counts: Mutex::default(), state: watch::Sender::new(State::Whole) }
    }

    /// Counts a statement that is about to be sent; gives the moment of the point when this is it.
    pub(crate) fn count(&self, statement: Statement) -> Option<Moment> {
        let armed = self.armed.as_ref().filter(|point| point.statement == statement);
        let mut counts = self.counts();
        let count = counts.entry(statement).or_default();
        *count += 1;
        armed.filter(|point| point.occurrence == *count).map(|point| point.moment)
    }

    /// How often each statement was sent so far.
    pub(crate) fn counts(&self) -> MutexGuard<'_, HashMap<Statement, u32>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets happen what is armed. The caller closes its connection when this returns, which it does not for a
    /// worker that is to be killed: its connections end with it. Nor for one that must not notice.
    pub(crate) async fn strike(&self) {
        match self.armed.as_ref().map(|point| point.blow) {
            Some(Blow::Abort) => {
                self.state.send_replace(State::Aborted);
                pending().await
            }
            Some(Blow::Outage) => drop(self.state.send_replace(State::Outage)),
            Some(Blow::Cut) => drop(self.state.send_replace(State::Hit)),
            Some(Blow::Silence) => {
                self.state.send_replace(State::Hit);
                pending().await
            }
            None => {}
        }
    }

    /// Whether the point was reached.
    pub(crate) fn is_struck(&self) -> bool {
        *self.state.borrow() != State::Whole
    }

    /// Resolves when the process is to be killed.
    pub(crate) async fn aborted(&self) {
        let _ = self.state.subscribe().wait_for(|state| *state == State::Aborted).await;
    }

    /// Resolves when a connection that exists now is to be closed.
    pub(crate) fn outage(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut state = self.state.subscribe();
        // One that is made after the outage is not part of it.
        let is_over = *state.borrow() != State::Whole;
        async move {
            if is_over || state.wait_for(|state| *state == State::Outage).await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Holds up for ever what a worker still says that is to be killed.
    pub(crate) async fn pass(&self) {
        if *self.state.borrow() == State::Aborted {
            pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(digest: u16) -> Statement {
        Statement { summary: "select 1".to_owned(), subject: None, digest }
    }

    #[tokio::test]
    async fn it_strikes_at_one_execution_of_one_statement() {
        let point =
            Point { statement: statement(1), occurrence: 2, moment: Moment::After, blow: Blow::Outage };
        let wire = Wire::new(Some(point));
        let sent = [1, 2, 2, 1, 1].map(|digest| wire.count(statement(digest)));
        assert_eq!(sent, [None, None, None, Some(Moment::After), None]);
        assert_eq!(wire.counts()[&statement(1)], 3);

        let outage = wire.outage();
        assert!(!wire.is_struck());
        wire.strike().await;
        assert!(wire.is_struck());
        outage.await;
    }
}
