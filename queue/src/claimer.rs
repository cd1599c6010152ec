//! The task that claims the jobs of one queue for this process.

use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use apalis_core::{
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use sqlx::PgConnection;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot};

use crate::{
    Job, Lease, QueueConfig, backoff,
    claim::{Claimed, Outlook, Place, claim, claim_in_shares, hand_back_unknown, outlook},
    completer::RECONNECT_MAX,
    held::{hold, lock},
    lookout::Lookout,
    metrics,
    session::Shared,
    settle::Outcome,
    shares::Turns,
    slots::Slots,
};

/// The shortest and the longest pause between two looks at a job that could run but cannot be claimed.
const LOCKED_OUT_MIN: Duration = Duration::from_millis(5);
const LOCKED_OUT_MAX: Duration = Duration::from_secs(1);

/// For how long at most a claimer that found a queue held up by its limits does not listen: each end of a job
/// wakes all.
const DEAF_MAX: Duration = Duration::from_millis(50);

/// For how long a claimer goes on behind its last claim before it looks at the whole queue again: as long may
/// a job wait that came in with a higher priority.
const GO_ON_MAX: Duration = Duration::from_millis(200);

/// How often a claimer tells how it fares, while that changes.
const REPORT: Duration = Duration::from_secs(10);

pub(crate) struct Claiming<J> {
    shared: Arc<Shared>,
    slots: Slots,
    sender: mpsc::Sender<Task<J>>,
    worker: WorkerContext,
    locked_out: Duration,
    /// Where the next claim may begin.
    front: Option<Front>,
    /// Who had the last turns, where the slots are shared.
    turns: Option<Arc<Mutex<Turns>>>,
    lookout: Lookout,
    reported: Option<(Report, Instant)>,
    payload: PhantomData<fn() -> J>,
}

/// What a claimer tells of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Report {
    slots: i32,
    mean_run_s: Option<f64>,
}

impl<J: Job> Claiming<J> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: QueueConfig,
        sender: mpsc::Sender<Task<J>>,
        worker: WorkerContext,
    ) -> Self {
        let slots = Slots::new(config);
        Self {
            shared,
            slots,
            sender,
            worker,
            locked_out: Duration::ZERO,
            front: None,
            turns: config.in_shares.then(Arc::default),
            lookout: Lookout::new(),
            reported: None,
            payload: PhantomData,
        }
    }

    /// Claims whenever there are free slots and a reason to look, until the session stops or the worker is
    /// closed.
    pub(crate) async fn run(mut self) {
        let wake = self.shared.held.claimer(J::KIND);
        let (shared, sender) = (self.shared.clone(), self.sender.clone());
        let stopped = shared.stopped();
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                () = self.claim_and_wait(&wake) => {}
                () = &mut stopped => break,
                () = sender.closed() => return,
            }
        }
        // Also ends a worker that is paused, and so would not ask for jobs and learn that there are no more.
        let _ = self.worker.stop();
    }

    async fn claim_and_wait(&mut self, wake: &Notify) {
        self.report().await;
        let slots = self.slots.free().await;
        let wanted = slots.len();
        let front = self.front.take();
        let place = front.map(|front| front.place);
        let came =
            if self.worker.is_paused() { Came::default() } else { self.claim_into(slots, place).await };
        self.slots.adapt(wanted, came.jobs, came.waited);
        if came.jobs > 0 {
            self.locked_out = Duration::ZERO;
        }
        if let Some(notified) = self.lookout.wants_change(came.jobs > 0, Instant::now()) {
            self.ask_for_notifications(notified).await;
            return;
        }
        if came.jobs == wanted {
            self.front = came.front(front).filter(|_| self.turns.is_none());
            return;
        }
        if front.is_some() {
            // Only the rest of the queue was looked at.
            return;
        }
        let pause = self.pause(came.jobs).await;
        // A fruitless claim of a queue with limits is dear, and all others wait for it.
        let deaf =
            if self.shared.held.is_limited(J::KIND) { self.locked_out.min(DEAF_MAX) } else { Duration::ZERO };
        tokio::time::sleep(deaf).await;
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(pause.saturating_sub(deaf)) => {}
        }
    }

    /// Claims a job for each slot and passes them on.
    ///
    /// The claim itself runs in a task of its own: were it dropped half-way by a shutdown, jobs could be
    /// claimed that nobody knows of, and would wait for their lease to run out.
    async fn claim_into(&self, slots: Vec<OwnedSemaphorePermit>, behind: Option<Place>) -> Came {
        let shared = self.shared.clone();
        let sender = self.sender.clone();
        let worker = self.worker.clone();
        let order = match &self.turns {
            Some(turns) => Order::InShares(turns.clone()),
            None => Order::ByTurn(behind),
        };
        let under_way = shared.held.begin_claim();
        let (tell, came) = oneshot::channel();
        tokio::spawn(async move {
            let _under_way = under_way;
            let claimed = claim_when_reachable(&shared, &sender, slots, &order).await;
            if worker.is_paused() {
                // They go back, rather than to wait for the worker to go on.
                return;
            }
            // The next claim may be under way while these are decoded.
            let _ = tell.send(Came::of(claimed.iter().map(|(job, _)| job)));
            for (job, lease) in claimed {
                if let Some(task) = task(job, lease) {
                    // Whatever is not sent, because the worker was closed, goes back.
                    let _ = sender.send(task).await;
                }
            }
        });
        came.await.unwrap_or_default()
    }

    /// How long to sleep after a claim that found too little. Under load that is a moment, unless the queue's
    /// limits leave no room.
    async fn pause(&mut self, got: usize) -> Duration {
        match self.lookout.gap() {
            Some(gap) if got > 0 || !self.may_hold_up() => gap,
            Some(gap) => {
                self.until_next_look(got).await;
                self.locked_out.max(gap)
            }
            None => self.until_next_look(got).await.min(self.lookout.sleep_max(Instant::now())),
        }
    }

    /// Whether there may be available jobs that no claim gets now.
    fn may_hold_up(&self) -> bool {
        self.turns.is_some() || self.shared.held.is_limited(J::KIND)
    }

    /// How long to sleep after a claim that found too little: until the next scheduled job is due, at most
    /// the poll time, less up to a fifth so that processes do not look in step.
    async fn until_next_look(&mut self, got: usize) -> Duration {
        let poll = self.shared.settings.poll;
        let poll = poll - backoff::jitter(poll / 5);
        let in_shares = self.turns.is_some();
        let look = self.shared.ask(async |conn| outlook(conn, J::KIND, in_shares).await).await;
        let Ok(Outlook { next_due, is_paused, is_limited, is_held_up }) = look else {
            return poll.min(RECONNECT_MAX);
        };
        self.shared.held.note_limited(J::KIND, is_limited);
        if is_paused {
            return poll;
        }
        // A job that could start and that no claim gets is locked by somebody, or the worker is paused: look
        // ever less often. The same for the jobs of a queue at its limit, although the end of a running one
        // wakes us.
        let is_due = next_due.is_some_and(|due| due.is_zero());
        if got == 0 && (is_due || is_held_up) {
            self.locked_out = (self.locked_out * 2).clamp(LOCKED_OUT_MIN, LOCKED_OUT_MAX);
            return self.locked_out;
        }
        self.locked_out = Duration::ZERO;
        if is_held_up { LOCKED_OUT_MAX } else { next_due.map_or(poll, |due| due.min(poll)) }
    }

    /// Says whether enqueueing shall notify this process. If that cannot be said, all stays as it was.
    async fn ask_for_notifications(&mut self, notified: bool) {
        let worker_id = self.shared.worker_id;
        match self.shared.ask(async |conn| want_notify(conn, worker_id, J::KIND, notified).await).await {
            Ok(true) => self.lookout.changed(notified, Instant::now()),
            Ok(false) => self.reported = None,
            Err(error) => tracing::debug!(queue = J::KIND, %error, "asking for notifications failed"),
        }
    }

    /// Tells the fleet that this process works on the queue, and how it fares. Best effort: the next one
    /// makes up for it.
    async fn report(&mut self) {
        let report =
            Report { slots: self.slots.count() as i32, mean_run_s: self.shared.held.mean_run_s(J::KIND) };
        let is_due = self.reported.is_none_or(|(last, at)| last != report && at.elapsed() >= REPORT);
        if !is_due {
            return;
        }
        let worker_id = self.shared.worker_id;
        let in_shares = self.turns.is_some();
        match self.shared.ask(async |conn| tell(conn, worker_id, J::KIND, in_shares, report).await).await {
            Ok(()) => self.reported = Some((report, Instant::now())),
            Err(error) => tracing::debug!(queue = J::KIND, %error, "telling of the queue's slots failed"),
        }
    }
}

/// Where the unclaimed jobs of a queue begin, as long as every claim brings as many jobs as there are slots.
#[derive(Debug, Clone, Copy)]
struct Front {
    place: Place,
    /// When the whole queue was last looked at.
    looked_at: Instant,
}

/// What a claim brought.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    jobs: usize,
    /// The longest time that one of them waited after it was due.
    waited: Duration,
    last: Option<Place>,
}

impl Came {
    /// Of these jobs, which are in order.
    fn of<'a>(claimed: impl Iterator<Item = &'a Claimed>) -> Self {
        claimed.fold(Self::default(), |came, job| Self {
            jobs: came.jobs + 1,
            waited: came.waited.max(Duration::try_from_secs_f64(job.waited_s).unwrap_or_default()),
            last: Some(job.place()),
        })
    }

    /// Where the next claim may begin, after one that began at `front`.
    fn front(self, front: Option<Front>) -> Option<Front> {
        let looked_at = front.map_or_else(Instant::now, |front| front.looked_at);
        let place = self.last.filter(|_| looked_at.elapsed() < GO_ON_MAX)?;
        Some(Front { place, looked_at })
    }
}

async fn tell(
    conn: &mut PgConnection,
    worker_id: i64,
    queue: &str,
    in_shares: bool,
    report: Report,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into queue.worker_queues (worker_id, queue, slots, mean_run_s, in_shares) values ($1, $2, $3, $4, $5)
        on conflict (worker_id, queue) do update
        set slots = excluded.slots, mean_run_s = excluded.mean_run_s, updated_at = now()
        "#,
        worker_id,
        queue,
        report.slots,
        report.mean_run_s,
        in_shares,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// False when this worker is not known to work on the queue.
async fn want_notify(
    conn: &mut PgConnection,
    worker_id: i64,
    queue: &str,
    notified: bool,
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update queue.worker_queues set wants_notify = $3 where worker_id = $1 and queue = $2",
        worker_id,
        queue,
        notified
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Which jobs a claim takes.
enum Order {
    /// The first ones behind this place.
    ByTurn(Option<Place>),
    /// So that the slots are shared among the keys.
    InShares(Arc<Mutex<Turns>>),
}

/// Claims a job for each slot, however long the database is away; nothing once the session stops or the
/// worker is closed.
async fn claim_when_reachable<J: Job>(
    shared: &Arc<Shared>,
    sender: &mpsc::Sender<Task<J>>,
    mut slots: Vec<OwnedSemaphorePermit>,
    order: &Order,
) -> Vec<(Claimed, Lease)> {
    let mut pause = Duration::from_millis(50);
    let mut answer_lost = false;
    let (worker_id, lease) = (shared.worker_id, shared.settings.lease);
    loop {
        let claiming = async {
            if answer_lost && let Err(error) = hand_back_lost(shared).await {
                tracing::warn!(queue = J::KIND, %error, "handing back jobs of a lost claim failed");
            }
            let _known_when_held = shared.claiming.read().await;
            let free = slots.len();
            let claimed = match order {
                Order::ByTurn(behind) => {
                    shared
                        .ask(async |conn| claim(conn, J::KIND, worker_id, free, lease, *behind).await)
                        .await?
                }
                Order::InShares(turns) => {
                    let holds = lock(turns).holds(shared.held.by_key(J::KIND));
                    let claimed = shared
                        .ask(async |conn| {
                            claim_in_shares(conn, J::KIND, worker_id, free, lease, &holds).await
                        })
                        .await?;
                    lock(turns).note(&claimed);
                    claimed
                }
            };
            metrics::claimed(J::KIND, claimed.iter().map(|job| job.waited_s));
            let held =
                claimed.into_iter().zip(slots.drain(..)).map(|(job, slot)| held::<J>(shared, job, slot));
            Ok::<_, sqlx::Error>(held.collect())
        };
        let error = match claiming.await {
            Ok(held) => return held,
            Err(error) => error,
        };
        answer_lost = true;
        if *shared.stopping.borrow() || sender.is_closed() {
            return Vec::new();
        }
        tracing::warn!(queue = J::KIND, %error, "claiming jobs failed, trying again");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RECONNECT_MAX);
    }
}

/// After a claim whose answer was lost: it may have taken jobs all the same.
async fn hand_back_lost(shared: &Shared) -> Result<(), sqlx::Error> {
    let _alone = shared.claiming.write().await;
    let (held, _) = shared.held.ids_and_fences();
    shared.ask(async |conn| hand_back_unknown(conn, shared.worker_id, &held).await.map(drop)).await
}

fn held<J: Job>(shared: &Arc<Shared>, job: Claimed, slot: OwnedSemaphorePermit) -> (Claimed, Lease) {
    let (hold, stop) = hold(shared, &job, J::KIND, slot);
    let lease = Lease {
        hold: Arc::new(hold),
        attempt: job.attempt,
        max_attempts: job.max_attempts,
        timeout: J::TIMEOUT,
        traceparent: job.traceparent.as_deref().map(Arc::from),
        stop,
        listens: Arc::default(),
    };
    (job, lease)
}

/// The longest wait of a job that this worker does not understand: soon enough for the newer workers of a
/// rolling update.
const NOT_UNDERSTOOD_MAX: Duration = Duration::from_secs(60);

/// Decodes a claimed job. One that cannot be decoded is left to a newer worker, which may have enqueued it:
/// it comes back after a while, alone.
fn task<J: Job>(job: Claimed, lease: Lease) -> Option<Task<J>> {
    // A panic here would hand back all that was claimed with it, to be claimed again at once.
    let decoded = catch_unwind(AssertUnwindSafe(|| serde_json::from_str::<J>(&job.args)));
    let error = match decoded {
        Ok(Ok(payload)) if job.kind == J::KIND => {
            let task = TaskBuilder::new(payload)
                .task_id(TaskId::from_int(job.id.unsigned_abs()))
                // apalis counts the attempts before this one.
                .attempt(lease.attempt() as usize - 1)
                .max_attempts(job.max_attempts.unsigned_abs() as usize)
                .priority(job.priority.max(0).unsigned_abs() as usize)
                .data(lease);
            return Some(task.build());
        }
        Ok(Ok(_)) => format!("a {} job in the queue {}", job.kind, J::KIND),
        Ok(Err(error)) => format!("the payload does not decode: {error}"),
        Err(_) => "the payload does not decode: its type panicked".to_owned(),
    };
    let wait = backoff::after(job.fence.unsigned_abs()).min(NOT_UNDERSTOOD_MAX);
    tracing::error!(job = job.id, queue = J::KIND, error, ?wait, "job left to a newer worker");
    lease.hold.settle(Outcome::NotUnderstood { error, wait });
    None
}
