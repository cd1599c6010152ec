//! The calls that check a definition, made by this process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use resume_connector::{Answer, Call, CallError, Connector};
use resume_core::{
    call_limit::{self, Announced, CallEnd, Caller, Demand, Ending, Obstacle, Permit, Void},
    db::{self, PgConnection, PgPool},
    source::definition::{Auth, Definition},
};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::dto::DryCall;

/// How many calls are under way at once in this process.
const AT_ONCE: usize = 4;
/// How long to wait for a place among them, and then for a permit; and how long the caller waits in all.
const PLACE_WAIT_MAX: Duration = Duration::from_secs(5);
const PERMIT_WAIT_MAX: Duration = Duration::from_secs(10);
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How a permit is asked for: as a worker asks, but from further away, since there is one call to make and
/// workers that wait use every turn that is near.
const LEAD: Duration = Duration::from_millis(25);
const HORIZON: Duration = Duration::from_secs(1);
/// How late a call may leave, as a worker's.
const LATE_MAX: Duration = Duration::from_millis(8);
/// Stands in the ledger for the worker.
const NO_WORKER: i64 = 0;

/// What makes the calls that check definitions.
pub struct DryCalls {
    connector: Connector,
    places: Semaphore,
    private_networks: bool,
}

/// Why no call was made.
pub(super) enum NotMade {
    PrivateNetwork,
    RefreshToken,
    Busy,
    Late,
    Kept(Obstacle),
    Failed(CallError),
    Database(db::Error),
}

/// What the calls of a check have shown so far, however they go on.
#[derive(Clone, Copy, Default)]
pub(super) struct Shown {
    pub(super) status: Option<u16>,
    pub(super) calls: u64,
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl From<CallError> for NotMade {
    fn from(error: CallError) -> Self {
        Self::Failed(error)
    }
}

impl From<db::Error> for NotMade {
    fn from(error: db::Error) -> Self {
        Self::Database(error)
    }
}

impl DryCalls {
    /// With this connector. `private_networks`: whether a definition that asks for it may have them called by
    /// this process.
    pub fn new(connector: Connector, private_networks: bool) -> Self {
        Self { connector, places: Semaphore::new(AT_ONCE), private_networks }
    }

    /// Asks a system for its first page as a definition says, and on the way for what the page takes.
    /// `stored`: the definition of the source of this name, if there is one; the calls keep its limits then.
    ///
    /// They go on to their end if the caller goes away, so that their permits are settled.
    ///
    /// # Errors
    /// The database's.
    pub(super) async fn make(
        self: Arc<Self>,
        pool: PgPool,
        definition: Definition,
        stored: Option<Definition>,
    ) -> Result<DryCall, db::Error> {
        let not_made = |why| Ok(DryCall::not_made(&why, Shown::default()));
        if definition.allow_private_network && !self.private_networks {
            return not_made(NotMade::PrivateNetwork);
        }
        // The endpoint's answer would be written into the file that the definition names, whatever stands
        // there; and a token that was rotated here is lost to workers with another copy of it, which is why
        // those of the stored source are none the safer.
        if definition.auth.iter().any(|auth| matches!(auth, Auth::RefreshToken { .. })) {
            return not_made(NotMade::RefreshToken);
        }
        let making = tokio::spawn(async move { self.calls(&pool, &definition, stored.as_ref()).await });
        match tokio::time::timeout(TIME_LIMIT, making).await {
            Ok(Ok(made)) => made,
            Ok(Err(failed)) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => not_made(NotMade::Late),
            },
            Err(_) => not_made(NotMade::Late),
        }
    }

    async fn calls(
        &self,
        pool: &PgPool,
        definition: &Definition,
        stored: Option<&Definition>,
    ) -> Result<DryCall, db::Error> {
        let Ok(Ok(_place)) = tokio::time::timeout(PLACE_WAIT_MAX, self.places.acquire()).await else {
            return Ok(DryCall::not_made(&NotMade::Busy, Shown::default()));
        };
        let shown = Mutex::new(Shown::default());
        let probed = self.connector.probe_by(definition, |call| one_call(pool, stored, call, &shown)).await;
        let shown = *shown.lock().unwrap_or_else(PoisonError::into_inner);
        match probed {
            Ok(probe) => Ok(DryCall::of(definition, &probe, shown)),
            Err(NotMade::Database(error)) => Err(error),
            Err(why) => Ok(DryCall::not_made(&why, shown)),
        }
    }
}

/// Makes one call, with a permit where a source of the name is there.
async fn one_call(
    pool: &PgPool,
    stored: Option<&Definition>,
    call: Call,
    shown: &Mutex<Shown>,
) -> Result<Answer, NotMade> {
    let leave = match stored {
        None => None,
        Some(stored) => Some((stored, leave(pool, stored).await?.map_err(NotMade::Kept)?)),
    };
    let answer = call.send().await;
    note(shown, &answer);
    if let Some((stored, (permit, late))) = leave {
        let end = call_end(&answer, late);
        call_limit::end(pool, &stored.name, &permit, &stored.limits, &end).await?;
    }
    Ok(answer)
}

fn note(shown: &Mutex<Shown>, answer: &Answer) {
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    shown.status = answer.status;
    shown.calls += 1;
    shown.bytes += answer.bytes;
    shown.took += answer.took;
}

/// Waits for a permit and for its time; gives it, and how late it was used. Or what keeps the call back for
/// longer than one waits for a check.
async fn leave(
    pool: &PgPool,
    source: &Definition,
) -> Result<Result<(Permit, Duration), Obstacle>, db::Error> {
    let begun = Instant::now();
    loop {
        let mut conn = pool.acquire().await?;
        let answer = ask(&mut conn, source, begun.elapsed()).await?;
        let came = Instant::now();
        let Some(permit) = answer.permits.first() else {
            let (obstacle, wait) = answer.obstacle.unwrap_or((Obstacle::Limit, LEAD));
            if begun.elapsed() + wait > PERMIT_WAIT_MAX {
                return Ok(Err(obstacle));
            }
            drop(conn);
            tokio::time::sleep(wait.max(LEAD)).await;
            continue;
        };
        drop(conn);
        // The question was answered before that, perhaps after a long wait for the lock: so no call leaves
        // too early.
        let at = came + (permit.departs_at - answer.at).to_std().unwrap_or_default();
        tokio::time::sleep_until(at.into()).await;
        let late = at.elapsed();
        if late <= LATE_MAX {
            return Ok(Ok((*permit, late)));
        }
        call_limit::void(&mut *pool.acquire().await?, &source.name, permit, Void::Missed).await?;
        if begun.elapsed() > PERMIT_WAIT_MAX {
            return Ok(Err(Obstacle::Limit));
        }
    }
}

async fn ask(
    conn: &mut PgConnection,
    source: &Definition,
    waited: Duration,
) -> Result<call_limit::Answer, db::Error> {
    let demand = Demand {
        source: &source.name,
        worker_id: NO_WORKER,
        callers: &[Caller { collection_id: Uuid::nil(), call_id: 0, waited }],
        limits: &source.limits,
        concurrency: source.concurrency,
        lead: LEAD,
        horizon: HORIZON,
        silence_max: source.silence_max(),
    };
    call_limit::grant(conn, &demand).await
}

fn call_end(answer: &Answer, late: Duration) -> CallEnd {
    let error = answer.result.as_ref().err();
    CallEnd {
        late,
        took: answer.took,
        status: answer.status,
        code: error.map(code_of),
        bytes: answer.bytes,
        // The definition need not be the one that the source's collections use.
        ending: Ending::Aside,
        announced: Announced::default(),
    }
}

/// The code of an error, that of a refusal by the limit included.
pub(super) fn code_of(error: &CallError) -> String {
    error.code().unwrap_or_else(|| "rate_limited".to_owned())
}
