use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};
use poem_openapi::{
    Object,
    types::{Example, ParseFromJSON},
};
use resume_core::jobs::StartCollection;
use resume_queue::{
    Job,
    schedules::{JITTER_MAX, NewSchedule, ScheduleError, Timing},
};
use serde_json::Value;

use super::Missed;
use crate::{body::ReadFields, collections::TriggerRequest, fields::Fields, name::MAX_CHARS, span::Span};

/// In which a cron expression is read unless told otherwise.
const DEFAULT_TIME_ZONE: &str = "UTC";

/// The kinds of jobs that can be scheduled. Those of the others are steps of one collection.
const KINDS: [&str; 1] = [StartCollection::KIND];

fn default_missed() -> Missed {
    Missed::Once
}

/// A schedule: when, which job, and what happens to ticks that nobody fired in time. Give either `cron` or
/// `at`.
#[derive(Debug, Object)]
#[oai(example, skip_serializing_if_is_none)]
pub(in crate::schedules) struct ScheduleRequest {
    /// Five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday); or `@hourly`,
    /// `@daily`, `@weekly`, `@monthly`, `@yearly` or `@annually`.
    #[oai(validator(min_length = 1, max_length = 200))]
    cron: Option<String>,
    /// In which `cron` is read: a name of the IANA database, such as `Europe/Berlin`; `UTC` by default.
    time_zone: Option<String>,
    /// The moment at which to fire once, instead of `cron`.
    at: Option<DateTime<Utc>>,
    /// The kind of its jobs: `start_collection`, which starts a collection.
    #[oai(validator(min_length = 1, max_length = 128))]
    kind: String,
    /// What its jobs are to be done with; for `start_collection` what `trigger_collection` takes, with the
    /// same defaults.
    #[oai(default)]
    args: TriggerRequest,
    /// By how many minutes the turn of its jobs comes earlier.
    #[oai(default)]
    priority: i16,
    /// How often each of its jobs is tried before it is discarded; by default as its kind has it.
    #[oai(validator(minimum(value = "1"), maximum(value = "65535")))]
    max_attempts: Option<u16>,
    /// What becomes of ticks that nobody fired in time.
    #[oai(default = "default_missed")]
    missed: Missed,
    /// The most that a job is put off after its tick, such as `10m`; at most an hour, none by default. The
    /// name and the tick decide how long, so that not all that is scheduled for the same minute begins in the
    /// same second.
    jitter: Option<Span>,
    /// Whether it fires; by default as it was, and a new one does.
    enabled: Option<bool>,
}

impl ReadFields for ScheduleRequest {
    fn read(fields: &mut Fields) -> Self {
        let has_kind = fields.has("kind");
        let given = ["cron", "time_zone", "at"].map(|field| fields.has(field));
        let request = Self {
            cron: fields.read("cron", "a string", text),
            time_zone: fields.read("time_zone", "a string", text),
            at: fields.read("at", "a time such as 2026-12-24T18:00:00Z, in the years 0000 to 9999", moment),
            kind: fields.name("kind", MAX_CHARS).unwrap_or_default(),
            args: fields.object("args").unwrap_or_default(),
            priority: fields.read("priority", "a whole number from -32768 to 32767", priority).unwrap_or(0),
            max_attempts: fields
                .whole_number("max_attempts", 1..=u32::from(u16::MAX))
                .and_then(|n| n.try_into().ok()),
            missed: fields
                .read("missed", "one of skip, once, all", |value| {
                    Missed::parse_from_json(Some(value.clone())).ok()
                })
                .unwrap_or_else(default_missed),
            jitter: fields.read(
                "jitter",
                "a length of time in whole seconds, at most an hour, such as 10m",
                jitter,
            ),
            enabled: fields.flag("enabled"),
        };
        if !has_kind || (!request.kind.is_empty() && !KINDS.contains(&request.kind.as_str())) {
            let kinds = KINDS.join(", ");
            fields.refuse("kind", format!("must be the kind of a job that can be scheduled: {kinds}"));
        }
        request.check_timing(given, fields);
        request
    }
}

impl ScheduleRequest {
    /// Notes what is wrong with when it fires, beyond the shape of each field; `given` says which ones are
    /// there.
    fn check_timing(&self, [cron, time_zone, at]: [bool; 3], fields: &mut Fields) {
        match (cron, at) {
            (false, false) => fields.refuse("cron", "give either cron or at"),
            (true, true) => fields.refuse("at", "must not be given together with cron"),
            (false, true) if time_zone => {
                fields.refuse("time_zone", "goes with cron; at has an offset of its own");
            }
            _ => {}
        }
        // Each by itself, so that both are named when both are wrong.
        let checks =
            [(self.cron.as_deref(), Some(DEFAULT_TIME_ZONE)), (Some("@daily"), self.time_zone.as_deref())];
        for (expression, time_zone) in checks {
            let (Some(expression), Some(time_zone)) = (expression, time_zone) else { continue };
            let timing = Timing::Cron { expression: expression.to_owned(), time_zone: time_zone.to_owned() };
            match timing.ticks_after(DateTime::UNIX_EPOCH, 0) {
                Err(ScheduleError::Cron { field, position, why, .. }) => {
                    fields.refuse("cron", format!("{field}, at character {position}: {why}"));
                }
                Err(ScheduleError::Field { field, why, .. }) => fields.refuse(field, why),
                _ => {}
            }
        }
    }

    pub(in crate::schedules) fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    /// When it fires, if only once.
    pub(in crate::schedules) fn at(&self) -> Option<DateTime<Utc>> {
        self.at
    }

    /// The source that its jobs collect from, if it names one.
    pub(in crate::schedules) fn source(&self) -> Option<&str> {
        self.args.source()
    }

    /// # Errors
    /// When the payload cannot be that of a job.
    pub(in crate::schedules) fn into_new_schedule(
        self,
        name: String,
        source: String,
    ) -> Result<NewSchedule, ScheduleError> {
        let timing = match self.at {
            Some(at) => Timing::Once(at),
            None => Timing::Cron {
                expression: self.cron.unwrap_or_default(),
                time_zone: self.time_zone.unwrap_or_else(|| DEFAULT_TIME_ZONE.to_owned()),
            },
        };
        let new = NewSchedule::new(name, timing, &self.args.into_start_collection(source))?;
        Ok(NewSchedule {
            priority: self.priority,
            max_attempts: self.max_attempts.unwrap_or(new.max_attempts),
            missed: self.missed.into(),
            jitter: self.jitter.map_or(Duration::ZERO, |jitter| jitter.0),
            ..new
        })
    }
}

fn jitter(value: &Value) -> Option<Span> {
    Span::of_json(value).filter(|span| span.0 <= JITTER_MAX && span.0.subsec_nanos() == 0)
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// A time whose year has four digits in UTC as well: RFC 3339 has no others, so a reply with it could not be
/// read.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    let moment = DateTime::parse_from_rfc3339(value.as_str()?).ok()?.to_utc();
    Some(moment).filter(|moment| (0..=9999).contains(&moment.year()))
}

fn priority(value: &Value) -> Option<i16> {
    value.as_i64()?.try_into().ok()
}

impl Example for ScheduleRequest {
    fn example() -> Self {
        Self {
            cron: Some("0 2 * * *".to_owned()),
            time_zone: Some("Europe/Berlin".to_owned()),
            at: None,
            kind: StartCollection::KIND.to_owned(),
            args: TriggerRequest::example(),
            priority: 0,
            max_attempts: None,
            missed: default_missed(),
            jitter: Span::of_json(&600.into()),
            enabled: Some(true),
        }
    }
}
