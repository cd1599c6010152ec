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

/// How far ahead permits are asked for: what is lost when this process is killed. A little more than the time
/// from one question to the next, so that there is always one in time for the next call.
const HORIZON: Duration = Duration::from_millis(65);
/// The least time from a question that was answered with some permits, but not enough, to the next one.
/// Whoever got none does not wait for that: so the processes of a fleet take turns.
const QUESTION_SPACING: Duration = Duration::from_millis(50);
/// Who asks again at the same moment is to come in another order each time: up to so much later.
const JITTER_MAX: Duration = Duration::from_millis(8);
/// The most permits asked for at once: as many as a source has slots for fetching, for it takes half of them.
const PERMITS_MAX: usize = 16;
/// The longest wait that a job sits out in its slot. Sources that refuse calls mostly ask for a second.
const WAIT_MAX: Duration = Duration::from_millis(1500);
/// The longest time until who waits looks again, as for a source that is held: somebody may have ended a
/// silence just when a job was about to be put off.
pub(super) const LOOK_MAX: Duration = Duration::from_secs(30);
/// How long a question may go without an answer. A connection that fell silent would else be waited for as
/// long as the kernel believes in it.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long to wait before asking a database again that gave no answer.
const RETRY: Duration = Duration::from_millis(500);

/// Hands out leave to call one source in this process. While somebody waits for it, it asks the database for
/// permits on behalf of all who do; the others of the fleet do the same.
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
    /// What the source has asked this process for; for permits that were asked for before the fleet knew of
    /// it.
    silence: Mutex<Option<Silence>>,
}

/// A silence that an answer has asked for.
#[derive(Debug, Clone, Copy)]
struct Silence {
    until: Instant,
    /// Since when the fleet knows: the permits that are given since take it into account, and whether
    /// somebody has ended it.
    known_since: Option<Instant>,
}

/// What a source allows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Allowance {
    pub(super) limits: Vec<Limit>,
    pub(super) concurrency: Option<u32>,
    /// The longest silence that it gets.
    pub(super) silence_max: Duration,
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
            silence: Mutex::default(),
        });
        let task = tokio::spawn(desk.clone().run()).abort_handle();
        Self { desk, task }
    }

    /// Sets the limits, from the next question on.
    pub(super) fn allow(&self, allowance: Allowance) {
        *lock(&self.desk.allowance) = allowance;
    }

    /// Waits for leave to make one call, and for its time: the call is to leave when this returns. Gives how
    /// long there will be none when that is longer than it is worth holding a slot for. While the database is
    /// away it waits.
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
                    let wait = Wait { left: wait.left.min(LOOK_MAX), ..wait };
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

    /// Asks for permits for those who wait and hands them out. Gives how many there were, and how long to
    /// wait before asking again when there were too few.
    async fn ask(self: &Arc<Self>) -> Result<(usize, Option<Wait>), db::Error> {
        let (tickets, callers): (Vec<_>, Vec<_>) = lock(&self.line).next(PERMITS_MAX).into_iter().unzip();
        if callers.is_empty() {
            return Ok((0, None));
        }
        let allowance = lock(&self.allowance).clone();
        let lead = lock(&self.clock).lead();
        let asked = Instant::now();
        let answer = self
            .put(&Demand {
                source: &self.source,
                worker_id: self.worker_id,
                callers: &callers,
                limits: &allowance.limits,
                concurrency: allowance.concurrency,
                lead,
                horizon: HORIZON,
                silence_max: allowance.silence_max,
            })
            .await?;
        let given = answer.permits.len();
        for (ticket, permit) in tickets.into_iter().zip(answer.permits) {
            let at = lock(&self.clock).here(permit.departs_at).unwrap_or_else(Instant::now);
            let leave = Leave::new(self.clone(), permit, (asked, at), allowance.clone());
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

    /// Notes that a call of this process has ended, and until when the source wants no other.
    pub(super) fn call_ended(&self, silent_until: Option<Instant>) {
        if let Some(until) = silent_until {
            let mut silence = lock(&self.silence);
            if silence.is_none_or(|known| known.until < until) {
                *silence = Some(Silence { until, known_since: None });
            }
        }
        self.ended.notify_one();
    }

    /// Notes that the fleet knows of a silence until then.
    pub(super) fn silence_noted(&self, until: Instant) {
        if let Some(silence) = lock(&self.silence).as_mut().filter(|silence| silence.until <= until) {
            silence.known_since = Some(Instant::now());
        }
    }

    /// Whether a permit that was asked for then must not be used, because the source has asked this process
    /// for silence.
    pub(super) fn is_silent_for(&self, asked: Instant) -> bool {
        lock(&self.silence).is_some_and(|Silence { until, known_since }| {
            Instant::now() < until && known_since.is_none_or(|since| asked < since)
        })
    }
}
