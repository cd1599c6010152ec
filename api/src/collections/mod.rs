//! Collections, which the interface calls data requests.

mod dto;
mod events;
mod refused;

use futures_util::stream::BoxStream;
use poem::web::Data;
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::{EventStream, Json},
};
use resume_core::{
    collection::{self, CollectionState, Continued, ListFilter, NewCollection, Scope, StartError, Started},
    completeness,
    db::{self, PgPool},
    source::{self, DEFAULT_SOURCE},
};
use uuid::Uuid;

pub(crate) use self::{
    dto::TriggerRequest,
    refused::{calls_deleted, with_calls},
};
use self::{
    dto::{CollectionList, CollectionStatus, ContinueRequest, ContinuedCollection, State, TriggerReply},
    events::Streams,
    refused::unknown,
};
use crate::{
    body::JsonBody,
    cursor,
    database::bounded,
    idempotency_key::IdempotencyKey,
    name::Name,
    problem::Problem,
    refused::{Refusals, Refused},
    serve::Stopping,
    spec::Tag,
    state::AppState,
};

/// What is said of a source that cannot be collected from.
const OF_FILES: &str = "this source makes no calls: send its files to /api/v1/data-collection/import";

/// The resource.
pub(crate) struct Collections(AppState, Streams);

/// The reply to a request that was accepted.
#[derive(ApiResponse)]
enum Accepted {
    /// The collection has started; or had started before, under the same idempotency key.
    #[oai(status = 202)]
    Accepted(
        Json<TriggerReply>,
        /// Where to follow the progress.
        #[oai(header = "Location")]
        String,
    ),
}

/// The reply to a collection that goes on.
#[derive(ApiResponse)]
enum GoesOn {
    /// Its pages are fetched, and its documents parsed.
    #[oai(status = 202)]
    Accepted(
        Json<ContinuedCollection>,
        /// Where to follow the progress.
        #[oai(header = "Location")]
        String,
    ),
}

struct TriggerRefusals;
struct StatusRefusals;
struct EventsRefusals;
struct ListRefusals;
struct StopRefusals;
struct ContinueRefusals;

impl Refusals for TriggerRefusals {
    const STATUSES: &'static [u16] = &[400, 409, 413, 415, 422, 500, 503];
}

impl Refusals for StatusRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 500, 503];
}

impl Refusals for EventsRefusals {
    const STATUSES: &'static [u16] = StatusRefusals::STATUSES;
    const UNAVAILABLE: &'static str =
        "There are too many streams, or the database cannot be reached for now; `type` says which.";
}

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[400, 500, 503];
}

impl Refusals for StopRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 409, 500, 503];
}

impl Refusals for ContinueRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 409, 410, 413, 415, 500, 503];
}

impl Collections {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state, Streams::new())
    }

    /// Starts a collection of the source that is asked for, or of the default one.
    async fn trigger(
        &self,
        request: TriggerRequest,
        key: Option<String>,
    ) -> Result<(NewCollection, Started), Problem> {
        let source = source_or_default(&self.0.pool, "source", request.source()).await?;
        let new = request.into_new_collection(source, key);
        let started = self.start(&new).await?;
        Ok((new, started))
    }

    /// Starts a collection, all or nothing.
    async fn start(&self, new: &NewCollection) -> Result<Started, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let error = match collection::start(&mut tx, new).await {
            Ok(started) => {
                tx.commit().await?;
                return Ok(started);
            }
            Err(error) => error,
        };
        // Gives the connection back: a request that holds one while it waits for another can starve the pool.
        tx.rollback().await?;
        match error {
            StartError::UnknownSource(_) => Err(unknown_source("source", &source::list(&self.0.pool).await?)),
            other => Err(other.into()),
        }
    }

    /// Cancels or pauses a collection, and gives how far it is then.
    async fn stop(&self, id: Uuid, cancel: bool) -> Result<CollectionStatus, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        if cancel {
            collection::cancel(&mut tx, id).await?;
        } else {
            collection::pause(&mut tx, id).await?;
        }
        tx.commit().await?;
        let progress = collection::progress(&self.0.pool, id).await?;
        Ok(progress.ok_or_else(|| unknown(id))?.into())
    }

    /// Lets a collection hide whom it has not seen, and gives how it stands then.
    async fn confirm(&self, id: Uuid) -> Result<CollectionStatus, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        completeness::confirm_hiding(&mut tx, id).await?;
        tx.commit().await?;
        let progress = collection::progress(&self.0.pool, id).await?;
        Ok(progress.ok_or_else(|| unknown(id))?.into())
    }

    /// Continues a collection, all or nothing.
    async fn continue_scope(&self, id: Uuid, scope: Scope) -> Result<Continued, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let continued = collection::continue_collection(&mut tx, id, scope).await?;
        tx.commit().await?;
        Ok(continued)
    }
}

#[OpenApi(tag = "Tag::Collections")]
impl Collections {
    /// Start a collection
    ///
    /// Fetches `count` resumes from a source, `per_page` with each call and within its rate limit, keeps them
    /// as they came, and parses them. Replies at once; follow `status_url`. Every field of the body is
    /// optional, and so is the body.
    ///
    /// Send a fresh UUID as `Idempotency-Key` to be able to repeat the request safely: the same key with the
    /// same parameters starts nothing more and gives the same reply.
    ///
    /// While another collection of the source is not over, this one runs beside it, is refused, or waits for
    /// it, as the `overlapping_runs` of the source's definition say.
    #[oai(path = "/api/v1/data-collection/trigger", method = "post", operation_id = "trigger_collection")]
    async fn trigger_collection(
        &self,
        /// Identifies this request when it is sent again, for example after a time-out.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: IdempotencyKey,
        body: JsonBody<TriggerRequest>,
    ) -> Result<Accepted, Refused<TriggerRefusals>> {
        let (new, started) = bounded(self.trigger(body.0, idempotency_key.0)).await?;
        let reply = TriggerReply::new(&new, &started);
        let location = reply.status_url.clone();
        Ok(Accepted::Accepted(Json(reply), location))
    }

    /// Look how far a collection is
    ///
    /// `state` is final when it is `completed`, `completed_with_errors`, `failed` or `cancelled`; `percent`
    /// is 100 only where everything was done.
    #[oai(
        path = "/api/v1/data-collection/status/:data_request_id",
        method = "get",
        operation_id = "get_collection_status"
    )]
    async fn get_collection_status(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
    ) -> Result<Json<CollectionStatus>, Refused<StatusRefusals>> {
        let progress = bounded(collection::progress(&self.0.pool, data_request_id.0)).await?;
        let progress = progress.ok_or_else(|| unknown(data_request_id.0))?;
        Ok(Json(progress.into()))
    }

    /// Follow a collection
    ///
    /// Server-sent events. `progress` comes at once and whenever something has happened, at most twice a
    /// second; `end` is the last one, comes when `state` is final, and then the stream closes. The data of
    /// each is what `get_collection_status` gives, and its id the milliseconds since the trigger. A comment
    /// comes every 15 seconds, so that nobody takes the stream for dead.
    ///
    /// A client that was cut off just asks again, as browsers do by themselves, and begins with the status as
    /// it is then; of a collection that is over that is `end` at once: close your `EventSource` there. While
    /// the database is away nothing comes but comments. When this process stops, the stream closes without an
    /// `end`. A process serves 100 streams at once and refuses more.
    #[oai(
        path = "/api/v1/data-collection/events/:data_request_id",
        method = "get",
        operation_id = "follow_collection"
    )]
    async fn follow_collection(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
        stopping: Data<&Stopping>,
    ) -> Result<EventStream<BoxStream<'static, CollectionStatus>>, Refused<EventsRefusals>> {
        Ok(self.1.open(self.0.pool.clone(), data_request_id.0, stopping.0.clone()).await?)
    }

    /// List collections
    ///
    /// The newest first.
    #[oai(path = "/api/v1/data-collection", method = "get", operation_id = "list_collections")]
    async fn list_collections(
        &self,
        /// Only those of this source.
        source: Query<Option<Name>>,
        /// Only those in one of these states, separated by commas.
        #[oai(explode = false, default)]
        state: Query<Vec<State>>,
        /// How many to give.
        #[oai(default = "dto::default_limit", validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<u32>,
        /// The `next_cursor` of the page before; none for the first page.
        cursor: Query<Option<String>>,
    ) -> Result<Json<CollectionList>, Refused<ListRefusals>> {
        let before = cursor.0.as_deref().map(cursor::decode).transpose()?;
        let states: Vec<CollectionState> = state.0.into_iter().map(Into::into).collect();
        let filter = ListFilter {
            source: source.0.map(|name| name.0),
            states: Some(states).filter(|states| !states.is_empty()),
        };
        // One more than asked for tells whether there is a next page.
        let fetch = i64::from(limit.0) + 1;
        let found = bounded(collection::list(&self.0.pool, &filter, before, fetch)).await?;
        Ok(Json(CollectionList::new(found, limit.0 as usize)))
    }

    /// Pause a collection
    ///
    /// No further page is fetched until `continue_collection`, but for calls that wait for leave already, up
    /// to 16 in each worker; what is stored is parsed. A call that is under way is not lost. One that is
    /// paused is left as it is.
    #[oai(
        path = "/api/v1/data-collection/pause/:data_request_id",
        method = "post",
        operation_id = "pause_collection"
    )]
    async fn pause_collection(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
    ) -> Result<Json<CollectionStatus>, Refused<StopRefusals>> {
        Ok(Json(bounded(self.stop(data_request_id.0, false)).await?))
    }

    /// Cancel a collection
    ///
    /// It is over at once: nothing more is fetched or parsed. What is stored stays, and `continue_collection`
    /// goes on from there. One that is cancelled is left as it is.
    #[oai(
        path = "/api/v1/data-collection/cancel/:data_request_id",
        method = "post",
        operation_id = "cancel_collection"
    )]
    async fn cancel_collection(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
    ) -> Result<Json<CollectionStatus>, Refused<StopRefusals>> {
        Ok(Json(bounded(self.stop(data_request_id.0, true)).await?))
    }

    /// Continue a collection
    ///
    /// One that is paused or cancelled continues from its checkpoint; one that ended with failed calls makes
    /// those again, and those behind them. What is stored is not fetched again. Documents that nobody has
    /// parsed, because their job was ended, are parsed. The body, which may be left out, says whether to
    /// continue with less or more than that.
    #[oai(
        path = "/api/v1/data-collection/continue/:data_request_id",
        method = "post",
        operation_id = "continue_collection"
    )]
    async fn continue_collection(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
        body: JsonBody<ContinueRequest>,
    ) -> Result<GoesOn, Refused<ContinueRefusals>> {
        let continued = bounded(self.continue_scope(data_request_id.0, body.0.scope())).await?;
        let reply = ContinuedCollection::new(data_request_id.0, continued);
        let location = reply.status_url.clone();
        Ok(GoesOn::Accepted(Json(reply), location))
    }

    /// Confirm that a collection may hide many
    ///
    /// A collection that has seen far fewer people than its source had hides nobody by itself and says
    /// `too_many_missing` among its errors. After this they are hidden, in the background. Refused once a
    /// later collection of the source has ended.
    #[oai(
        path = "/api/v1/data-collection/:data_request_id/confirm-hiding",
        method = "post",
        operation_id = "confirm_hiding"
    )]
    async fn confirm_hiding(
        &self,
        /// The id that `trigger_collection` gave.
        data_request_id: Path<Uuid>,
    ) -> Result<Json<CollectionStatus>, Refused<StopRefusals>> {
        Ok(Json(bounded(self.confirm(data_request_id.0)).await?))
    }
}

/// Checks that there is a source of this name, which `field` of a request holds, and that it can be collected
/// from.
///
/// # Errors
/// A problem that names the field and, where there is none, the sources that there are.
pub(crate) async fn known_source(pool: &PgPool, field: &str, name: &str) -> Result<(), Problem> {
    let found = source::find(&mut *pool.acquire().await?, name).await?;
    match found {
        Some(source) if source.definition.is_of_files() => Err(Problem::invalid_field(field, OF_FILES)),
        Some(_) => Ok(()),
        None => Err(unknown_source(field, &source::list(pool).await?)),
    }
}

/// The source that a request names in `field`; if it names none the test data, where that is a source.
///
/// # Errors
/// A problem that names the field and the sources that there are.
pub(crate) async fn source_or_default(
    pool: &PgPool,
    field: &str,
    given: Option<&str>,
) -> Result<String, Problem> {
    if let Some(name) = given {
        return Ok(name.to_owned());
    }
    let known = source::list(pool).await?;
    if known.iter().any(|name| name == DEFAULT_SOURCE) {
        return Ok(DEFAULT_SOURCE.to_owned());
    }
    let detail = match known.as_slice() {
        [] => "name a source; there are none yet: add one with `PUT /api/v1/sources/{name}`".to_owned(),
        known => format!("name a source; there are: {}", known.join(", ")),
    };
    Err(Problem::invalid_field(field, detail))
}

pub(crate) fn unknown_source(field: &str, known: &[String]) -> Problem {
    let detail = match known {
        [] => "no source has this name, and there are none yet: add one with `PUT /api/v1/sources/{name}`"
            .to_owned(),
        known => format!("no source has this name; there are: {}", known.join(", ")),
    };
    Problem::invalid_field(field, detail)
}
