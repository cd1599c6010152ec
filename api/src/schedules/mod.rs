//! Schedules: jobs by the clock.

mod dto;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use poem_openapi::{ApiResponse, OpenApi, param::Path, payload::Json};
use resume_core::db::{self, PgConnection};
use resume_queue::{
    EnqueueError,
    schedules::{self, ScheduleError, Timing},
};

use self::dto::{Schedule, ScheduleList, ScheduleRequest, ScheduleRun};
use crate::{
    body::JsonBody,
    collections,
    database::bounded,
    name::Name,
    problem::Problem,
    refused::{Refusals, Refused},
    spec::Tag,
    state::AppState,
};

/// How long ago a moment may be that is to come: clocks differ, and people type "now".
const PAST_MAX: TimeDelta = TimeDelta::minutes(1);

/// The resource.
pub(crate) struct Schedules(AppState);

/// The reply to a schedule that was run by hand.
#[derive(ApiResponse)]
enum Enqueued {
    /// The job is enqueued.
    #[oai(status = 202)]
    Enqueued(
        Json<ScheduleRun>,
        /// Where to look at the job.
        #[oai(header = "Location")]
        String,
    ),
}

struct ListRefusals;
struct ScheduleRefusals;
struct PutRefusals;

impl Refusals for ListRefusals {
    const STATUSES: &'static [u16] = &[500, 503];
}

impl Refusals for ScheduleRefusals {
    const STATUSES: &'static [u16] = &[400, 404, 500, 503];
}

impl Refusals for PutRefusals {
    const STATUSES: &'static [u16] = &[400, 413, 415, 500, 503];
}

impl Schedules {
    pub(crate) fn new(state: AppState) -> Self {
        Self(state)
    }

    async fn all(&self) -> Result<Vec<schedules::Schedule>, db::Error> {
        schedules::list(&mut *self.0.pool.acquire().await?).await
    }

    async fn find(&self, name: &str) -> Result<schedules::Schedule, Problem> {
        find(&mut *self.0.pool.acquire().await?, name).await
    }

    /// Stores a schedule and switches it, all or nothing: one that is put to be off must not fire in between.
    async fn put(&self, name: String, request: ScheduleRequest) -> Result<schedules::Schedule, Problem> {
        let source = collections::source_or_default(&self.0.pool, "args.source", request.source()).await?;
        collections::known_source(&self.0.pool, "args.source", &source).await?;
        if let Some(at) = request.at() {
            self.check_moment(&name, at).await?;
        }
        let enabled = request.enabled();
        let new = request.into_new_schedule(name, source)?;
        let mut tx = db::begin(&self.0.pool).await?;
        schedules::put(&mut tx, &new).await?;
        match enabled {
            Some(true) => schedules::enable(&mut tx, &new.name).await?,
            Some(false) => schedules::disable(&mut tx, &new.name).await?,
            None => true,
        };
        let stored = find(&mut tx, &new.name).await?;
        tx.commit().await?;
        Ok(stored)
    }

    /// Refuses a moment that is over by more than clocks differ, unless the schedule has it already: who puts
    /// their schedules at every start may do so after they fired.
    async fn check_moment(&self, name: &str, at: DateTime<Utc>) -> Result<(), Problem> {
        let mut conn = self.0.pool.acquire().await?;
        let now = db::now(&mut *conn).await?;
        let stored = schedules::get(&mut conn, name).await?;
        if at >= now - PAST_MAX || stored.is_some_and(|stored| stored.what.timing == Timing::Once(at)) {
            return Ok(());
        }
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let detail = format!("{} is over: by the database's clock it is {}", time(at), time(now));
        Err(Problem::invalid_field("at", detail))
    }

    async fn switch(&self, name: &str, enabled: bool) -> Result<schedules::Schedule, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        // Switching forgets why the queue has disabled it: one that is as asked is left alone.
        if find(&mut tx, name).await?.enabled != enabled {
            if enabled {
                schedules::enable(&mut tx, name).await?;
            } else {
                schedules::disable(&mut tx, name).await?;
            }
        }
        let switched = find(&mut tx, name).await?;
        tx.commit().await?;
        Ok(switched)
    }

    async fn delete(&self, name: &str) -> Result<schedules::Schedule, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let schedule = find(&mut tx, name).await?;
        schedules::delete(&mut tx, name).await?;
        tx.commit().await?;
        Ok(schedule)
    }

    async fn run(&self, name: &str) -> Result<ScheduleRun, Problem> {
        let mut tx = db::begin(&self.0.pool).await?;
        let job_id = schedules::run_now(&mut tx, name).await?.ok_or_else(unknown)?;
        tx.commit().await?;
        Ok(ScheduleRun::new(job_id))
    }
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<schedules::Schedule, Problem> {
    schedules::get(conn, name).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("no schedule has this name")
}

#[OpenApi(tag = "Tag::Schedules")]
impl Schedules {
    /// List schedules
    ///
    /// All of them, by name.
    #[oai(path = "/api/v1/schedules", method = "get", operation_id = "list_schedules")]
    async fn list_schedules(&self) -> Result<Json<ScheduleList>, Refused<ListRefusals>> {
        Ok(Json(bounded(self.all()).await?.into()))
    }

    /// Get a schedule
    ///
    /// With its next five ticks.
    #[oai(path = "/api/v1/schedules/:schedule", method = "get", operation_id = "get_schedule")]
    async fn get_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
    ) -> Result<Json<Schedule>, Refused<ScheduleRefusals>> {
        Ok(Json(bounded(self.find(&schedule.0.0)).await?.into()))
    }

    /// Create a schedule, or change it
    ///
    /// Replaces all of it but `enabled`, which stays as it is if it is not given. The ticks go on as they
    /// were if the timing is the same; else they begin anew from now. A moment that has passed already, in
    /// `at`, is a missed tick. Repeating the request changes nothing.
    #[oai(path = "/api/v1/schedules/:schedule", method = "put", operation_id = "put_schedule")]
    async fn put_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
        body: JsonBody<ScheduleRequest>,
    ) -> Result<Json<Schedule>, Refused<PutRefusals>> {
        Ok(Json(bounded(self.put(schedule.0.0, body.0)).await?.into()))
    }

    /// Delete a schedule
    ///
    /// Replies with what it was. Its jobs are left alone.
    #[oai(path = "/api/v1/schedules/:schedule", method = "delete", operation_id = "delete_schedule")]
    async fn delete_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
    ) -> Result<Json<Schedule>, Refused<ScheduleRefusals>> {
        Ok(Json(bounded(self.delete(&schedule.0.0)).await?.into()))
    }

    /// Let a schedule fire again
    ///
    /// The ticks that came while it was disabled count as missed. One that is enabled is left as it is.
    #[oai(path = "/api/v1/schedules/:schedule/enable", method = "post", operation_id = "enable_schedule")]
    async fn enable_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
    ) -> Result<Json<Schedule>, Refused<ScheduleRefusals>> {
        Ok(Json(bounded(self.switch(&schedule.0.0, true)).await?.into()))
    }

    /// Keep a schedule from firing
    ///
    /// Until `enable_schedule`. One that is disabled is left as it is.
    #[oai(path = "/api/v1/schedules/:schedule/disable", method = "post", operation_id = "disable_schedule")]
    async fn disable_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
    ) -> Result<Json<Schedule>, Refused<ScheduleRefusals>> {
        Ok(Json(bounded(self.switch(&schedule.0.0, false)).await?.into()))
    }

    /// Run a schedule now
    ///
    /// Enqueues one job, also of a schedule that is disabled. Its ticks stay as they are. Each request
    /// enqueues another job.
    #[oai(path = "/api/v1/schedules/:schedule/run", method = "post", operation_id = "run_schedule")]
    async fn run_schedule(
        &self,
        /// The name of the schedule.
        schedule: Path<Name>,
    ) -> Result<Enqueued, Refused<ScheduleRefusals>> {
        let run = bounded(self.run(&schedule.0.0)).await?;
        let location = run.location();
        Ok(Enqueued::Enqueued(Json(run), location))
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        match error {
            // It is in the path, under another name.
            ScheduleError::Field { field: "name", why, .. } => Self::invalid_field("schedule", why),
            ScheduleError::Field { field, why, .. } => Self::invalid_field(field, why),
            ScheduleError::Cron { .. } => Self::invalid_field("cron", error.to_string()),
            ScheduleError::Args(EnqueueError::Database(error)) | ScheduleError::Database(error) => {
                Self::failure(error)
            }
            ScheduleError::Args(error) => Self::invalid_field("args", error.to_string()),
        }
    }
}
