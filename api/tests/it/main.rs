//! The whole interface over real connections, on a real database.
#![expect(clippy::unwrap_used, reason = "clippy takes the helpers of an integration test for ordinary code")]

mod app;
mod attachments;
mod collections;
mod documentation;
mod documents;
mod events;
mod health;
mod imports;
mod jobs;
mod jobs_many;
mod maintenance;
mod metrics;
mod people;
mod problems;
mod queues;
mod resumes;
mod schedules;
mod schedules_nonsense;
mod search;
mod sources;
mod sources_check;
mod test_data;
mod trigger;
mod work;
mod workers;
