//! The progress of a collection as a stream of server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use poem::web::sse::Event;
use poem_openapi::{payload::EventStream, types::ToJSON};
use resume_core::{
    collection::{self, Progress},
    db::PgPool,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::{dto::CollectionStatus, unknown};
use crate::{
    database::bounded,
    problem::{Problem, ProblemType},
    serve::Stopping,
};

/// How many streams a process serves at once. Each is a connection and a look at the database now and then.
const STREAMS_MAX: usize = 100;

/// How many of them look at the database at once: the other connections of the pool are for requests.
const LOOKS_MAX: usize = 2;

/// How long there is no look after one: the most often that something is told.
const PAUSE: Duration = Duration::from_millis(500);
/// A look may take this share of the time, as one in so many.
const LOOK_SHARE: u32 = 10;

/// How often something is sent: proxies and clients close what is silent for long, and a client that is gone
/// is noticed then.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The streams of this process.
pub(super) struct Streams {
    places: Arc<Semaphore>,
    looks: Arc<Semaphore>,
}

impl Streams {
    pub(super) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(STREAMS_MAX)), looks: Arc::new(Semaphore::new(LOOKS_MAX)) }
    }

    /// Opens a stream that begins with what the collection is now. It ends with the collection, and when the
    /// server stops.
    pub(super) async fn open(
        &self,
        pool: PgPool,
        id: Uuid,
        stopping: Stopping,
    ) -> Result<EventStream<BoxStream<'static, CollectionStatus>>, Problem> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| too_many())?;
        let now = bounded(collection::progress(&pool, id)).await?.ok_or_else(|| unknown(id))?;
        let looks = self.looks.clone();
        let follower = Follower { pool, id, looks, stopping, pause: PAUSE, told: None, _place: place };
        let statuses = stream::unfold((follower, Some(now)), Follower::tell).boxed();
        Ok(EventStream::new(statuses).keep_alive(KEEP_ALIVE).to_event(to_event))
    }
}

/// A client that follows a collection. The database is asked only while the client reads, and no longer once
/// its connection is gone.
struct Follower {
    pool: PgPool,
    id: Uuid,
    looks: Arc<Semaphore>,
    stopping: Stopping,
    /// How long there is no look from now on.
    pause: Duration,
    told: Option<Progress>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next thing to tell; the first one is known.
    async fn tell(
        (mut follower, first): (Self, Option<Progress>),
    ) -> Option<(CollectionStatus, (Self, Option<Progress>))> {
        let progress = match first {
            Some(first) => first,
            None => follower.next().await?,
        };
        follower.told = Some(progress.clone());
        Some((progress.into(), (follower, None)))
    }

    /// Waits until something has happened; `None` when nothing will, or the server stops.
    async fn next(&mut self) -> Option<Progress> {
        if self.told.as_ref().is_some_and(|told| told.collection.state.is_over()) {
            return None;
        }
        let mut stopping = self.stopping.clone();
        tokio::select! {
            () = stopping.stopped() => None,
            progress = self.change() => progress,
        }
    }

    /// Looks until something has happened; `None` when the collection is gone. While the database is away
    /// nothing happens.
    async fn change(&mut self) -> Option<Progress> {
        loop {
            tokio::time::sleep(self.pause).await;
            match self.look().await {
                Ok(Some(now)) if self.told.as_ref().is_none_or(|told| now.differs_from(told)) => {
                    return Some(now);
                }
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(problem) => {
                    let error = problem.causes().unwrap_or_default();
                    tracing::debug!(collection_id = %self.id, error, "a stream goes on without a look");
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Option<Progress>, Problem> {
        // Nobody closes it.
        let _turn = self.looks.acquire().await;
        let begun = Instant::now();
        let progress = bounded(collection::progress(&self.pool, self.id)).await?;
        self.pause = PAUSE.max(begun.elapsed() * LOOK_SHARE);
        Ok(progress)
    }
}

/// Where the collection stands, and in the end that it is over. The id is the time since the trigger in
/// milliseconds.
fn to_event(status: CollectionStatus) -> Event {
    let name = if status.is_over() { "end" } else { "progress" };
    Event::message(status.to_json_string()).id(status.elapsed_ms().to_string()).event_type(name)
}

fn too_many() -> Problem {
    let detail = format!(
        "this process serves {STREAMS_MAX} streams already; look at the status instead, or try again"
    );
    Problem::new(ProblemType::TooManyStreams, detail)
}
