use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::{
    Face, item,
    json_resumes::draw_name,
    random::{Random, Use},
};

/// The seed of the people of all APIs.
const SEED: u64 = 0;
/// 2026-01-01T00:00:00Z, when person 0 was changed last; each further one a minute later.
const FIRST_UPDATE: i64 = 1_767_225_600;

/// One of the invented people of `people.rs`, with the rest of a candidate.
pub(super) struct Person {
    /// From 0.
    pub(super) index: u64,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    pub(super) headline: String,
    /// A list of names.
    pub(super) skills: Value,
    /// A list of `{company, title, start_date, end_date, description}`.
    pub(super) work: Vec<Value>,
    pub(super) updated_at: DateTime<Utc>,
    /// Whether they were deleted, and are shown all the same.
    pub(super) is_gone: bool,
}

impl Person {
    /// The same for the same index in every run.
    pub(super) fn new(index: u64) -> Self {
        let mut random = Random::new(Use::Candidate, SEED, index);
        let (first_name, last_name) = draw_name(&mut random);
        let mut item: Value =
            serde_json::from_str(&item(Face::TestData, SEED, index, false)).unwrap_or_default();
        let work = item["work_experiences"].as_array().cloned().unwrap_or_default();
        let headline = work.first().and_then(|job| job["title"].as_str()).unwrap_or("Looking for work");
        Self {
            index,
            first_name,
            last_name,
            headline: headline.to_owned(),
            skills: item["skills"].take(),
            work,
            updated_at: updated_at(index),
            is_gone: false,
        }
    }

    /// The same person a month later.
    pub(super) fn changed(index: u64) -> Self {
        let person = Self::new(index);
        let headline = format!("{}, changed", person.headline);
        Self { headline, updated_at: person.updated_at + TimeDelta::days(30), ..person }
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }

    pub(super) fn email(&self) -> String {
        format!("person.{SEED}.{}@example.com", self.index)
    }

    /// From the numbers that are kept for fiction.
    pub(super) fn phone(&self) -> String {
        format!("+1 202-555-01{:02}", self.index % 100)
    }

    /// As RFC 3339 writes it.
    pub(super) fn updated(&self) -> String {
        self.updated_at.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// When they came. Until somebody changes, that is also their last update.
    pub(super) fn created(&self) -> String {
        updated_at(self.index).to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// The jobs, each as the API shows it.
    pub(super) fn jobs(&self, show: fn(&Value) -> Value) -> Vec<Value> {
        self.work.iter().map(show).collect()
    }

    /// School, degree and subject.
    pub(super) fn education(&self) -> (&'static str, &'static str, &'static str) {
        let mut random = Random::new(Use::Candidate, SEED + 1, self.index);
        let school = random.pick(&["University of Springfield", "Université de Villeneuve", "TU Neustadt"]);
        (school, random.pick(&["Bachelor", "Master"]), random.pick(&["Computer Science", "Nursing", "Law"]))
    }

    /// `{"name": ..}` for each skill.
    pub(super) fn named_skills(&self) -> Vec<Value> {
        self.skills.as_array().into_iter().flatten().map(|name| json!({"name": name})).collect()
    }
}

fn updated_at(index: u64) -> DateTime<Utc> {
    let seconds = FIRST_UPDATE.saturating_add_unsigned(index.saturating_mul(60));
    DateTime::from_timestamp(seconds, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The index of the first person whose last change is at this time or later.
pub(super) fn first_updated_since(time: DateTime<Utc>) -> u64 {
    let milliseconds = time.timestamp_millis() - FIRST_UPDATE * 1000;
    u64::try_from(milliseconds).unwrap_or(0).div_ceil(60_000)
}

/// An id as a UUID.
pub(super) fn uuid(index: u64) -> String {
    format!("00000000-0000-4000-8000-{index:012x}")
}

/// An id as a number, from 1.
pub(super) fn number(index: u64) -> String {
    (index + 1).to_string()
}
