//! Sources: the systems we collect from, described by their definitions.

mod body;
mod csv;
mod dry_call;
mod dto;
mod evidence;
mod period;
mod statement;

use chrono::{DateTime, Utc};
use poem_openapi::{
    ApiResponse, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::Any,
};
use resume_core::{
    call_limit::{self, Period},
    db::{self, PgConnection},
    resume,
    source::{
        self,
        definition::{Definition, DefinitionError, Fault, Faults},
    },
};
use serde_json::Value;

use self::{
    body::DefinitionBody,
    csv::LedgerFile,
    dto::{Reparse, Source, SourceCalls, SourceCheck, SourceList},
    evidence::evidence,
    period::period,
    statement::{StatementFile, statement},
};
use crate::{
    database::bounded,
    name::Name,
    problem::{FieldError, Problem, ProblemType},
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

pub use self::dry_call::DryCalls;

/// The resource.
pub(crate) struct Sources(AppState);

/// The reply to a definition that was stored.
#[derive(ApiResponse)]
enum Stored {
    /// The source was there and has this definition now.
    #[oai(status = 200)]
    Changed(Json<Source>),
    /// The source is new.
    #[oai(status = 201)]
    Added(
        Json<Source>,
        /// Where it is.
        #[oai(header = "Location")]
        String,
    ),
}

/// The reply to a source that is parsed again.
#[derive(ApiResponse)]
enum Reparsing {
    /// A job of it is enqueued, or was already.
    #[oai(status = 202)]
    Accepted(
        Json<Reparse>,
        /// Where to follow the job.
        #[oai(header = "Location")]
        String,
    ),
}

struct ListRefusals;
struct SourceRefusals;
struct PutRefusals;
struct SchemaRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

impl Refusals for SourceRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 500, 503];
}

impl Refusals for PutRefusals {
    const STATUSES: &'static [u16] = &[400, 413, 415, 500, 503];
}

impl Refusals for SchemaRefusals {
    const STATUSES: &'static [u16] = &[500];
}

impl Sources {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn find(&self, name: &str) -> Result<source::Source, Problem> {
        find(&mut *self.0.pool.acquire().await?, name).await
    }

    /// Gives the source as it is stored, and whether it is new.
    async fn put(&self, name: &str, definition: &Definition) -> Result<(source::Source, bool), Problem> {
        check_name(name, definition)?;
        let mut tx = db::begin(&self.0.pool).await?;
        let is_new = source::put(&mut tx, definition).await?;
        let stored = find(&mut tx, name).await?;
        tx.commit().await?;
        Ok((stored, is_new))
    }

    /// How many documents of a source an older parser or an older map has made, unless they are too many to
    /// count.
    async fn count_outdated(&self, name: &str) -> Result<Option<i64>, Problem> {
        let map = source::mapping(&self.0.pool, name).await?.ok_or_else(unknown)?;
        Ok(resume::count_outdated(&self.0.pool, map.source_id, map.version).await?)
    }

    async fn reparse(&self, name: &str) -> Result<Reparse, Problem> {
        let documents = self.count_outdated(name).await?;
        // Counted before: the job makes them fewer.
        let map = source::mapping(&self.0.pool, name).await?.ok_or_else(unknown)?;
        let mut tx = db::begin(&self.0.pool).await?;
        find(&mut tx, name).await?;
        let job_id = resume::reparse(&mut tx, name, map.version).await.map_err(Problem::failure)?;
        tx.commit().await?;
        Ok(Reparse { documents, job_id })
    }

    /// Makes one call as a definition says, if a call is to be made.
    async fn check(&self, name: &str, definition: Definition, call: bool) -> Result<SourceCheck, Problem> {
        check_name(name, &definition)?;
        if !call || !definition.has_first_call() {
            return Ok(SourceCheck::new(definition.name, None));
        }
        let Some(dry_calls) = self.0.dry_calls.clone() else {
            let detail =
                "this process makes no calls: leave it out, or check with `resume-service sources check`";
            return Err(Problem::invalid_field("call", detail));
        };
        let find = async { source::find(&mut *self.0.pool.acquire().await?, name).await };
        let stored =
            bounded(find).await?.map(|stored| stored.definition).filter(|stored| !stored.is_of_files());
        let made = dry_calls.make(self.0.pool.clone(), definition, stored).await?;
        Ok(SourceCheck::new(name.to_owned(), Some(made)))
    }

    /// What the ledger says of a period, and what holds now.
    async fn calls(&self, name: &str, period: Period) -> Result<SourceCalls, Problem> {
        let source = bounded(self.find(name)).await?;
        let evidence = evidence(&self.0.pool, name, period, &source.definition.limits).await?;
        let state = bounded(call_limit::state(&self.0.pool, name)).await?;
        Ok(SourceCalls::new(period, evidence, state))
    }

    /// Whether each limit was kept in a period.
    async fn statement(&self, name: &str, period: Period) -> Result<StatementFile, Problem> {
        let source = bounded(self.find(name)).await?;
        let evidence = evidence(&self.0.pool, name, period, &source.definition.limits).await?;
        Ok(statement(name, period, &evidence))
    }

    async fn ledger(&self, name: String, period: Period) -> Result<LedgerFile, Problem> {
        self.find(&name).await?;
        Ok(csv::ledger(self.0.pool.clone(), name, period).await?)
    }

    async fn hold(&self, name: &str) -> Result<Source, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let source = find(&mut tx, name).await?;
        call_limit::hold(&mut tx, name).await?;
        tx.commit().await?;
        Ok(source.into())
    }

    async fn release(&self, name: &str) -> Result<Source, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let source = find(&mut tx, name).await?;
        let released = call_limit::release(&mut tx, name).await?;
        tx.commit().await?;
        Ok(Source::from(source).with_ended_silence(released.silent_until))
    }

    async fn remove(&self, name: &str) -> Result<source::Source, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let source = find(&mut tx, name).await?;
        // Nobody could do that afterwards, and its collections would wait for ever.
        call_limit::release(&mut tx, name).await?;
        source::remove(&mut tx, name).await?;
        tx.commit().await?;
        Ok(source)
    }
}

fn check_name(name: &str, definition: &Definition) -> Result<(), Problem> {
    if definition.name == name {
        return Ok(());
    }
    let detail = format!("must be {name:?}, as in the path");
    Err(Faults(vec![Fault { at: "/name".to_owned(), detail }]).into())
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<source::Source, Problem> {
    source::find(conn, name).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("no source has this name")
}

#[OpenApi(tag = "Tag::Sources")]
impl Sources {
    /// List sources
    ///
    /// All of them, by name.
    #[oai(path = "/api/v1/sources", method = "get", operation_id = "list_sources")]
    async fn list_sources(&self) -> Result<Json<SourceList>, Refused<ListRefusals>> {
        Ok(Json(bounded(source::all(&self.0.pool)).await?.into()))
    }

    /// Get a source
    ///
    /// With its definition, as `put_source` takes it.
    #[oai(path = "/api/v1/sources/:source", method = "get", operation_id = "get_source")]
    async fn get_source(
        &self,
        /// The name of the source.
        source: Path<Name>,
    ) -> Result<Json<Source>, Refused<SourceRefusals>> {
        Ok(Json(bounded(self.find(&source.0.0)).await?.into()))
    }

    /// Add a source, or change it
    ///
    /// The body is its definition, as JSON or YAML; `get_source_schema` describes it. Everything that is
    /// wrong with it is named at once, by JSON Pointers. Secrets are references to the environment or a file
    /// of the workers: the service never has a secret. Collections that are under way go on with the new
    /// definition. Documents that were read with another map stay as they are until `reparse_source`;
    /// `outdated` in the reply says how many.
    #[oai(path = "/api/v1/sources/:source", method = "put", operation_id = "put_source")]
    async fn put_source(
        &self,
        /// The name of the source, which its definition repeats.
        source: Path<Name>,
        body: DefinitionBody,
    ) -> Result<Stored, Refused<PutRefusals>> {
        let (stored, is_new) = bounded(self.put(&source.0.0, &body.0)).await?;
        let outdated = bounded(self.count_outdated(&source.0.0)).await?;
        let stored = Json(Source::from(stored).with_outdated(outdated));
        if is_new {
            let location = stored.0.location();
            return Ok(Stored::Added(stored, location));
        }
        Ok(Stored::Changed(stored))
    }

    /// Check a definition
    ///
    /// Stores nothing. The body is that of `put_source`, and so is what is said of a wrong one. With `call`,
    /// the API's process asks the system for its first page, with its own secrets, and tells what came: a
    /// call that fails is no failure of this request. Where a source of this name is there the call keeps its
    /// limits, and is in its ledger, without a worker. It takes 30 s at most. With a `refresh_token` no call
    /// is made: it would be used up.
    #[oai(path = "/api/v1/sources/:source/check", method = "post", operation_id = "check_source")]
    async fn check_source(
        &self,
        /// The name of the source, which the definition repeats.
        source: Path<Name>,
        /// Whether to make one call.
        #[oai(default)]
        call: Query<bool>,
        body: DefinitionBody,
    ) -> Result<Json<SourceCheck>, Refused<PutRefusals>> {
        Ok(Json(self.check(&source.0.0, body.0, call.0).await?))
    }

    /// Remove a source
    ///
    /// Replies with what it was. No collection of it starts any more; those under way end, and what it
    /// brought stays.
    #[oai(path = "/api/v1/sources/:source", method = "delete", operation_id = "delete_source")]
    async fn delete_source(
        &self,
        /// The name of the source.
        source: Path<Name>,
    ) -> Result<Json<Source>, Refused<SourceRefusals>> {
        Ok(Json(bounded(self.remove(&source.0.0)).await?.into()))
    }

    /// Parse again what a source has brought
    ///
    /// From the raw documents and without a call: what an older version of the parser or of the map has made,
    /// and what failed then. A job does it, some hundred documents at a time; it goes on after a crash, and
    /// of a source there is one at a time.
    #[oai(path = "/api/v1/sources/:source/reparse", method = "post", operation_id = "reparse_source")]
    async fn reparse_source(
        &self,
        /// The name of the source.
        source: Path<Name>,
    ) -> Result<Reparsing, Refused<SourceRefusals>> {
        let reply = bounded(self.reparse(&source.0.0)).await?;
        let location = format!("/api/v1/jobs/{}", reply.job_id);
        Ok(Reparsing::Accepted(Json(reply), location))
    }

    /// Look at the calls to a source
    ///
    /// What its ledger proves of a period, the last hour by default: how many calls left, the most in any
    /// stretch of each limit's length, how many were refused. And what holds now: silence, circuit, rate.
    /// Calls are kept for 30 days. A period with more calls than can be read in 10 s, some millions, is
    /// refused, with the longest one that is answered.
    #[oai(path = "/api/v1/sources/:source/calls", method = "get", operation_id = "get_source_calls")]
    async fn get_source_calls(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The beginning of the period; by default an hour before its end.
        from: Query<Option<DateTime<Utc>>>,
        /// Its end; by default now.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Result<Json<SourceCalls>, Refused<SourceRefusals>> {
        let period = period(from.0, to.0, bounded(db::now(&self.0.pool)).await?)?;
        Ok(Json(self.calls(&source.0.0, period).await?))
    }

    /// Get a statement of the calls to a source
    ///
    /// Whether each of its limits, as they are now, was kept in a period, the last hour by default: as
    /// comma-separated values, a line for each limit, with the most calls in any stretch of its length, and
    /// what else the ledger proves of the period. As `get_source_calls`, it names the longest period where
    /// there are too many calls to read for one request.
    #[oai(
        path = "/api/v1/sources/:source/statement.csv",
        method = "get",
        operation_id = "get_source_statement"
    )]
    async fn get_source_statement(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The beginning of the period; by default an hour before its end.
        from: Query<Option<DateTime<Utc>>>,
        /// Its end; by default now.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Result<StatementFile, Refused<SourceRefusals>> {
        let period = period(from.0, to.0, bounded(db::now(&self.0.pool)).await?)?;
        Ok(self.statement(&source.0.0, period).await?)
    }

    /// Get the ledger of the calls to a source
    ///
    /// Every call of a period, the last hour by default, as comma-separated values.
    #[oai(path = "/api/v1/sources/:source/calls.csv", method = "get", operation_id = "get_source_ledger")]
    async fn get_source_ledger(
        &self,
        /// The name of the source.
        source: Path<Name>,
        /// The beginning of the period; by default an hour before its end.
        from: Query<Option<DateTime<Utc>>>,
        /// Its end; by default now.
        to: Query<Option<DateTime<Utc>>>,
    ) -> Result<LedgerFile, Refused<SourceRefusals>> {
        let period = period(from.0, to.0, bounded(db::now(&self.0.pool)).await?)?;
        Ok(bounded(self.ledger(source.0.0, period)).await?)
    }

    /// Hold the calls to a source back
    ///
    /// Until `release_source`; collections wait meanwhile. One that is held is left as it is.
    #[oai(path = "/api/v1/sources/:source/hold", method = "post", operation_id = "hold_source")]
    async fn hold_source(
        &self,
        /// The name of the source.
        source: Path<Name>,
    ) -> Result<Json<Source>, Refused<SourceRefusals>> {
        Ok(Json(bounded(self.hold(&source.0.0)).await?))
    }

    /// Let a source be called again
    ///
    /// Ends what `hold_source` did and a silence that the source has asked for, and closes a circuit that
    /// failures have opened. What waits for one of them goes on. The limits hold as ever.
    #[oai(path = "/api/v1/sources/:source/release", method = "post", operation_id = "release_source")]
    async fn release_source(
        &self,
        /// The name of the source.
        source: Path<Name>,
    ) -> Result<Json<Source>, Refused<SourceRefusals>> {
        Ok(Json(bounded(self.release(&source.0.0)).await?))
    }

    /// Get the schema of definitions
    ///
    /// A JSON Schema of what `put_source` takes, for editors.
    #[oai(path = "/api/v1/schemas/source", method = "get", operation_id = "get_source_schema")]
    async fn get_source_schema(&self) -> Result<Json<Any<Value>>, Refused<SchemaRefusals>> {
        Ok(Json(Any(Definition::json_schema())))
    }
}

impl From<Faults> for Problem {
    fn from(Faults(faults): Faults) -> Self {
        Self::invalid(
            faults.into_iter().map(|Fault { at, detail }| FieldError { field: at, detail }).collect(),
        )
    }
}

impl From<DefinitionError> for Problem {
    fn from(error: DefinitionError) -> Self {
        match error {
            DefinitionError::Faults(faults) => faults.into(),
            DefinitionError::Text(text) => Self::new(ProblemType::MalformedBody, text),
        }
    }
}
