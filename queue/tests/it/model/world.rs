//! The real queue, driven step by step beside the model.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use apalis::prelude::DeferredError;
use resume_postgres::testing::TestDatabase;
use resume_queue::{
    Enqueued, Job, JobError, JobId, JobState, Lease, Limits, NewJob, cancel, create_group, discard,
    enqueue_all, limit_queue, pause_queue, retry, unpause_queue,
};
use serde::{Deserialize, Serialize};
use sqlx::{PgPool, Row as _, raw_sql};
use tokio::sync::oneshot;

use super::{
    Operation, audit,
    state::{End, Kind, Model, New, Row, SLOTS, Seen},
};
use crate::support::*;

/// How long the rows may take to be as the model says. Less than the worker's poll, so a wake-up that is lost
/// is found.
const AGREE_MAX: Duration = Duration::from_secs(25);

/// The same once some case has failed, while a simpler one is sought.
const AGREE_AGAIN_MAX: Duration = Duration::from_secs(5);
static HAS_FAILED: AtomicBool = AtomicBool::new(false);

/// Longer than any case.
const LATER: Duration = Duration::from_secs(500);

/// The follow-up of a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Finish {
    pub(super) of: i64,
}

impl Job for Finish {
    const KIND: &'static str = "finish";
}

/// The handlers that wait to be told how to end.
type Waiting = Arc<Mutex<HashMap<JobId, oneshot::Sender<End>>>>;

pub(super) struct World {
    database: TestDatabase,
    model: Model,
    worker: Option<TestWorker>,
    rescuer: TestWorker,
    waiting: Waiting,
    groups: i64,
}

impl World {
    pub(super) async fn new() -> Self {
        let database = database().await;
        audit::install(database.pool()).await;
        let rescuer = TestWorker::rescuer(database.url()).await;
        Self {
            database,
            model: Model::default(),
            worker: None,
            rescuer,
            waiting: Waiting::default(),
            groups: 0,
        }
    }

    pub(super) fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    pub(super) async fn stop(self) {
        if let Some(worker) = self.worker {
            worker.stop_within(Duration::ZERO).await;
        }
        self.rescuer.stop().await;
    }

    /// Does one thing to the queue and to the model, and waits until they agree.
    pub(super) async fn step(&mut self, operation: &Operation) {
        let pool = self.database.pool().clone();
        match operation {
            Operation::Enqueue(new) => self.enqueue(new).await,
            Operation::Group(jobs) => self.group(jobs).await,
            Operation::End(n, end) => self.end(*n, *end).await,
            Operation::EndByRequest(n, state) => self.end_by_request(*n, *state).await,
            Operation::Retry(n) => {
                let Some(id) = self.model.pick(*n, &JobState::ALL) else { return };
                assert_eq!(retry(&pool, id).await.unwrap(), self.model.retry(id), "retry of {id}");
            }
            Operation::MakeDue(n) => self.make_due(*n).await,
            Operation::Pause(kind) => self.pause(*kind).await,
            Operation::Unpause(kind) => {
                unpause_queue(&pool, kind.name()).await.unwrap();
                self.model.unpause(*kind);
            }
            Operation::Limit(kind, limited) => {
                let limits = Limits { max_running: limited.then_some(1), max_running_per_key: None };
                limit_queue(&pool, kind.name(), limits).await.unwrap();
                self.model.limit(*kind, *limited);
            }
            Operation::Start => self.start().await,
            Operation::Shutdown => {
                let Some(worker) = self.worker.take() else { return };
                worker.stop_within(Duration::ZERO).await;
                self.model.shut_down();
            }
            Operation::Crash(asked) => self.crash(*asked).await,
        }
        self.agree(operation).await;
    }

    async fn enqueue(&mut self, new: &New) {
        let holder = self.model.holder(new);
        let [outcome] = enqueue_jobs(self.pool(), &[new_job(new)]).await[..] else { panic!("one job") };
        match holder {
            None => self.model.insert(inserted(outcome), new, None),
            Some(_) => assert_eq!(outcome, Enqueued::Duplicate(holder), "{new:?}"),
        }
    }

    async fn group(&mut self, jobs: &[New]) {
        // Keys are for single jobs: two equal ones in a batch have a test of their own.
        let jobs: Vec<New> = jobs.iter().map(|new| New { key: None, ..new.clone() }).collect();
        self.groups += 1;
        let mut tx = self.pool().begin().await.unwrap();
        let group = create_group(&mut tx, &Finish { of: self.groups }).await.unwrap();
        let batch: Vec<NewJob> = jobs.iter().map(|new| new_job(new).group(group)).collect();
        let outcomes = enqueue_all(&mut tx, &batch).await.unwrap();
        tx.commit().await.unwrap();
        self.model.insert_group(group, self.groups);
        for (outcome, new) in outcomes.into_iter().zip(&jobs) {
            self.model.insert(inserted(outcome), new, Some(group));
        }
    }

    async fn end(&mut self, n: u8, end: End) {
        let Some(id) = self.model.pick(n, &[JobState::Running]) else { return };
        // The sender of an attempt before this one, which is over, has nobody who listens.
        let told = || async { lock(&self.waiting).remove(&id).and_then(|tell| tell.send(end).ok()) };
        until("the handler waits to be told", told).await;
        self.model.end_attempt(id, end);
    }

    async fn end_by_request(&mut self, n: u8, state: JobState) {
        let Some(id) = self.model.pick(n, &JobState::ALL) else { return };
        let changed = self.ask_for_end(id, state).await;
        assert_eq!(changed, self.model.end_by_request(id, state), "{state} by request of {id}");
    }

    async fn ask_for_end(&self, id: JobId, state: JobState) -> resume_queue::Changed {
        let changed = match state {
            JobState::Cancelled => cancel(self.pool(), id).await,
            _ => discard(self.pool(), id).await,
        };
        changed.unwrap()
    }

    async fn make_due(&mut self, n: u8) {
        let Some(id) = self.model.pick(n, &[JobState::Scheduled, JobState::Retryable]) else { return };
        let due = format!("update queue.live_jobs set run_at = now() where id = {id}");
        let notify = format!("select pg_notify('queue', '{}')", self.model.kind_of(id).name());
        execute(self.pool(), format!("{due}; {notify}")).await;
        self.model.make_due(id);
    }

    async fn pause(&mut self, kind: Kind) {
        pause_queue(self.pool(), kind.name()).await.unwrap();
        // A claim that is under way at this moment may not have seen it.
        let claims = "select count(*) from pg_stat_activity where datname = current_database() and state = 'active' \
                      and query like '%from queue.claim(%' and pid <> pg_backend_pid()";
        until("no claim is under way", || async {
            (number(self.pool(), claims).await == Some(0)).then_some(())
        })
        .await;
        self.model.pause(kind);
    }

    async fn start(&mut self) {
        if self.model.worker_is_up() {
            return;
        }
        let worker = TestWorker::start_with(self.database.url(), settings("model")).await;
        let (one, other) = (self.waiting.clone(), self.waiting.clone());
        let own = (worker.pool.clone(), worker.pool.clone());
        let worker = worker
            .work(SLOTS, move |_: Work, lease| handle_as_told(own.0.clone(), one.clone(), lease))
            .work(SLOTS, move |_: Watched, lease| handle_as_told(own.1.clone(), other.clone(), lease));
        self.worker = Some(worker);
        self.model.start();
    }

    async fn crash(&mut self, asked: Option<(u8, JobState)>) {
        let Some(worker) = self.worker.take() else { return };
        let pool = worker.pool.clone();
        let (session, runs) = worker.into_parts();
        drop(session);
        for run in runs {
            in_time("the apalis worker ends", run).await.unwrap().unwrap();
        }
        // With a process its claims end, too.
        in_time("no claim is under way", pool.close()).await;
        let asked = asked.and_then(|(n, state)| Some((self.model.pick(n, &[JobState::Running])?, state)));
        if let Some((id, state)) = asked {
            assert_eq!(self.ask_for_end(id, state).await, resume_queue::Changed::Done);
        }
        // As if the lease had run out; else it takes seconds until the others are sure.
        let expire =
            "update queue.live_jobs set lease_until = now() - interval '1 minute' where state = 'running'";
        execute(self.pool(), expire).await;
        self.model.crash(asked);
    }

    /// Waits until the rows are as the model says and nothing can move by itself any more.
    async fn agree(&mut self, after: &Operation) {
        let start = Instant::now();
        loop {
            match self.model.settled(&rows(self.pool()).await) {
                Ok(model) => {
                    self.model = model;
                    return;
                }
                Err(why) => {
                    let again = HAS_FAILED.load(Ordering::SeqCst);
                    if start.elapsed() > if again { AGREE_AGAIN_MAX } else { AGREE_MAX } {
                        HAS_FAILED.store(true, Ordering::SeqCst);
                        panic!("after {after:?}: {why}");
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }
}

fn new_job(new: &New) -> NewJob {
    let job = match new.kind {
        Kind::Work => NewJob::new(&Work { n: 0 }),
        _ => NewJob::new(&Watched { n: 0 }),
    };
    let job = job.unwrap().priority(new.priority);
    let job = if new.delayed { job.after(LATER) } else { job };
    match new.key {
        Some(key) => job.idempotency_key(key.to_string()),
        None => job,
    }
}

/// Waits to be told how to end, and ends so.
async fn handle_as_told(pool: PgPool, waiting: Waiting, lease: Lease) -> HandlerResult {
    let (tell, told) = oneshot::channel();
    lock(&waiting).insert(lease.job_id(), tell);
    match told.await? {
        End::Ok => Ok(()),
        End::CompleteIn => {
            let mut tx = pool.begin().await?;
            lease.complete_in(&mut tx).await?;
            tx.commit().await?;
            Ok(())
        }
        End::Fail => Err(JobError::RetryAfter("failed".into(), LATER).into()),
        End::Discard => Err(JobError::discard("hopeless").into()),
        End::Snooze => Err(JobError::Snooze(LATER).into()),
        End::SnoozeAtOnce => Err(DeferredError::new("at once").into()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

/// All jobs, as one snapshot of both tables shows them.
async fn rows(pool: &PgPool) -> Vec<Row> {
    let columns = "id, kind, state::text as state, attempt, max_attempts, fence, \
                   coalesce(jsonb_array_length(errors), 0) as failures, group_id, idempotency_key, \
                   coalesce(args ->> 'job_id', args ->> 'of')::bigint as subject";
    let sql = format!(
        "select {columns} from queue.live_jobs union all select {columns} from queue.job_history order by id"
    );
    let rows = raw_sql(sqlx::AssertSqlSafe(sql)).fetch_all(pool).await.unwrap();
    let row = |row: sqlx::postgres::PgRow| Row {
        id: row.get("id"),
        seen: Seen {
            kind: Row::kind(row.get("kind")),
            state: row.get::<&str, _>("state").parse().unwrap(),
            attempt: row.get("attempt"),
            max_attempts: row.get("max_attempts"),
            fence: row.get("fence"),
            failures: row.get("failures"),
            group: row.get("group_id"),
            key: row.get::<Option<&str>, _>("idempotency_key").map(|key| key.parse().unwrap()),
            subject: row.get("subject"),
        },
    };
    rows.into_iter().map(row).collect()
}
