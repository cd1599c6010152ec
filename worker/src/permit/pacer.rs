use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use leaky_bucket::RateLimiter;
use resume_core::{
    call_limit::{self, Answer, Demand, Obstacle},
    db::{self, PgPool},
    source::definition::Limit,
};
use tokio::{
    sync::Notify,
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};
use uuid::Uuid;

use super::{Leave, Wait, clock::Clock, line::Line, lock};

/// How far ahead permits are asked for: what is lost when this process is killed. A little more than the time from one question
/// to the next, so that there is always one in time for the next call.
const HORIZON: Duration = Duration::from_millis(65);
/// The least time from a question that was answered with some permits, but not enough, to the next one. Whoever got none does not
/// wait for that: so the processes of a fleet take turns.
const QUESTION_SPACING: Duration = Duration::from_millis(50);
/// Who asks again at the same moment is to come in another order each time: up to so much later.
const JITTER_MAX: Duration = Duration::from_millis(8);
/// The most permits asked for at once: as many as a source has slots for fetching, for it takes half of them.
const PERMITS_MAX: usize = 16;
/// The longest wait that a job sits out in its slot. Sources that refuse calls mostly ask for a second.
const WAIT_MAX: Duration = Duration::from_millis(1500);
/// How long a question may go without an answer. A connection that fell silent would else be waited for as long as the kernel
/// believes in it.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long to wait before asking a database again that gave no answer.
const RETRY: Duration = Duration::from_millis(500);

/// Hands out leave to call one source in this process. While somebody waits for it, it asks the database for permits on behalf
/// of all who do; the others of the fleet do the same.
#[derive(Debug)]
pub(crate) struct Pacer {
    desk: Arc<Desk>,
    task: AbortHandle,
}

/// Where a source's callers in this process meet the permits.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) pool: PgPool,
    worker_id: i64,
    pub(super) source: String,
    allowance: Mutex<Allowance>,
    line: Mutex<Line<Result<Leave, Wait>>>,
    clock: Mutex<Clock>,
    joined: Notify,
    /// Signalled when a call has ended.
    ended: Notify,
    /// The source has asked this process for silence until then; for permits that it holds already.
    silent_until: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Allowance {
    limits: Vec<Limit>,
    concurrency: Option<u32>,
}

impl Pacer {
    /// Must be called within a tokio runtime. Its task ends with the value.
    pub(super) fn start(pool: PgPool, worker_id: i64, source: String) -> Self {
        let desk = Arc::new(Desk {
            pool,
            worker_id,
            source,
            allowance: Mutex::default(),
            line: Mutex::default(),
            clock: Mutex::default(),
            joined: Notify::new(),
            ended: Notify::new(),
            silent_until: Mutex::default(),
        });
        let task = tokio::spawn(desk.clone().run()).abort_handle();
        Self { desk, task }
    }

    /// Sets the limits, from the next question on.
    pub(super) fn allow(&self, limits: Vec<Limit>, concurrency: Option<u32>) {
        *lock(&self.desk.allowance) = Allowance { limits, concurrency };
    }

    /// Waits for leave to make one call, and for its time: the call is to leave when this returns. Gives how long there will be
    /// none when that is longer than it is worth holding a slot for. While the database is away it waits.
    pub(crate) async fn leave(&self, collection_id: Uuid, call_id: i64) -> Result<Leave, Wait> {
        let since = Instant::now();
        loop {
            let reply = lock(&self.desk.line).join(collection_id, call_id, since);
            self.desk.joined.notify_one();
            // The pacer's task lives as long as the pacer; without it there would be no permits.
            let reply = reply.await.unwrap_or(Err(Wait { obstacle: Obstacle::Limit, left: WAIT_MAX }));
            let mut leave = reply?;
            if leave.depart().await {
                return Ok(leave);
            }
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    async fn run(self: Arc<Self>) {
        let spacing = RateLimiter::builder().initial(1).max(1).refill(1).interval(QUESTION_SPACING).build();
        loop {
            while lock(&self.line).is_empty() {
                self.joined.notified().await;
            }
            let (given, wait) = match self.ask().await {
                Ok(answer) => answer,
                Err(error) => {
                    tracing::warn!(source = self.source, %error, "no permits; asking again");
                    sleep(RETRY).await;
                    continue;
                }
            };
            match wait {
                None => {}
                Some(wait) if wait.left > WAIT_MAX => {
                    tracing::debug!(source = self.source, ?wait, "no calls for now");
                    // The slots are for those who may call: other sources can be called.
                    lock(&self.line).dismiss(|| Err(wait));
                }
                Some(Wait { obstacle: Obstacle::Concurrency, left }) => {
                    // Room is made by a call of ours, or by one that we hear nothing of.
                    let _ = timeout(left, self.ended.notified()).await;
                }
                Some(wait) => {
                    sleep(wait.left + JITTER_MAX.mul_f64(fastrand::f64())).await;
                    if given > 0 {
                        spacing.acquire_one().await;
                    }
                }
            }
        }
    }

    /// Asks for permits for those who wait and hands them out. Gives how many there were, and how long to wait before asking
    /// again when there were too few.
    async fn ask(self: &Arc<Self>) -> Result<(usize, Option<Wait>), db::Error> {
        let (tickets, callers): (Vec<_>, Vec<_>) = lock(&self.line).next(PERMITS_MAX).into_iter().unzip();
        if callers.is_empty() {
            return Ok((0, None));
        }
        let allowance = lock(&self.allowance).clone();
        let lead = lock(&self.clock).lead();
        let answer = self
            .put(&Demand {
                source: &self.source,
                worker_id: self.worker_id,
                callers: &callers,
                limits: &allowance.limits,
                concurrency: allowance.concurrency,
                lead,
                horizon: HORIZON,
            })
            .await?;
        let given = answer.permits.len();
        for (ticket, permit) in tickets.into_iter().zip(answer.permits) {
            let at = lock(&self.clock).here(permit.departs_at).unwrap_or_else(Instant::now);
            let leave = Leave::new(self.clone(), permit, at, allowance.limits.clone());
            // When nobody waits for it any more it is dropped, and with that given up.
            let _ = lock(&self.line).serve(ticket, Ok(leave));
        }
        Ok((given, answer.obstacle.map(|(obstacle, left)| Wait { obstacle, left })))
    }

    /// Puts a question to the database.
    async fn put(&self, demand: &Demand<'_>) -> Result<Answer, db::Error> {
        let mut conn = self.pool.acquire().await?;
        let sent = Instant::now();
        let Ok(answer) = timeout(ANSWER_MAX, call_limit::grant(&mut conn, demand)).await else {
            // It may answer yet, and the pool must not wait for that.
            drop(conn.detach());
            return Err(db::Error::Io(std::io::ErrorKind::TimedOut.into()));
        };
        let answer = answer?;
        lock(&self.clock).learn(sent, answer.at, Instant::now());
        Ok(answer)
    }

    /// Notes that a call of this process has ended, and for how long the source wants no other.
    pub(super) fn call_ended(&self, silence: Option<Duration>) {
        if let Some(silence) = silence {
            let until = Instant::now() + silence;
            let mut silent_until = lock(&self.silent_until);
            *silent_until = Some(silent_until.map_or(until, |known| known.max(until)));
        }
        self.ended.notify_one();
    }

    /// Whether the source has asked this process for silence that is not over.
    pub(super) fn is_silent(&self) -> bool {
        lock(&self.silent_until).is_some_and(|until| Instant::now() < until)
    }
}
