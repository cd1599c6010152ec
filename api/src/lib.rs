//! The HTTP interface: REST resources, their description, and the page that shows it.
//!
//! | place | what it holds |
//! | --- | --- |
//! | `app.rs` `state.rs` `serve.rs` | [`app`], what it needs, and serving it on a port |
//! | `collections/` | `/api/v1/data-collection`: trigger, status, events, list, pause, cancel, continue, confirm-hiding |
//! | `calls/` | `/api/v1/data-collection/{id}/calls` |
//! | `documents/` | `/api/v1/data-collection/{id}/documents`, `/api/v1/raw-documents` |
//! | `people/` | `/api/v1/sources/{source}/people`: erase, export, lift |
//! | `imports/` | `/api/v1/data-collection/import`: files with items |
//! | `sources/` | `/api/v1/sources`: list, put, check, delete; the schema of definitions |
//! | `resumes/` | `/api/v1/resumes`: search, one resume, its raw document |
//! | `attachments/` | `/api/v1/resumes/{id}/attachments` and `/api/v1/attachments`: the files that came with a resume |
//! | `schedules/` | `/api/v1/schedules`: list, put, delete, enable, disable, run now |
//! | `jobs/` | `/api/v1/jobs`: list, one job, why it waits; cancel, retry, discard, one or many |
//! | `queues/` | `/api/v1/queues`: list, pause, unpause, limits, demand |
//! | `workers/` | `/api/v1/workers`, and which one leads |
//! | `maintenance/` | `/api/v1/maintenance` |
//! | `test_data/` | what the mock system answers that is given to [`app`], described |
//! | `health/` | `/healthz`, `/readyz` |
//! | `metrics/` | `/metrics`, also of a worker alone |
//! | `documentation.rs` | `/docs`, `/openapi.json`, `/openapi.yaml` |
//! | `spec/` | the description, and [`spec_yaml`] |
//! | `edge.rs` `surface.rs` | what happens to every request: request id, errors and panics become problems |
//! | `problem.rs` `refused.rs` | RFC 9457 problems, the closed list of their types, and which an operation may give |
//! | `body.rs` `fields.rs` `name.rs` `span.rs` `idempotency_key.rs` `cursor.rs` | reading requests, so that a refusal names the field |
//! | `trace.rs` | the trace context that jobs carry on |
//! | `database.rs` | the time limit of every use of the database |
//!
//! To add an operation: a method in its resource's `mod.rs` with an `operation_id`, its DTOs in `dto.rs`, the
//! statuses it may refuse with in the `Refusals` of its return type, tests in `tests/it/`, then `just
//! openapi`. To add a resource: a folder, its struct in `Apis` of `spec/mod.rs`. To add a problem type: a
//! variant and a table row in `problem.rs`.

mod app;
mod attachments;
mod body;
mod calls;
mod collections;
mod cursor;
mod database;
mod documentation;
mod documents;
mod edge;
mod fields;
mod health;
mod idempotency_key;
mod imports;
mod jobs;
mod maintenance;
mod metrics;
mod name;
mod people;
mod problem;
mod queues;
mod refused;
mod resumes;
mod schedules;
mod serve;
mod sources;
mod span;
mod spec;
mod state;
mod surface;
mod test_data;
mod trace;
mod workers;

pub use app::{App, app, metrics_app};
pub use serve::{Bound, bind};
pub use sources::DryCalls;
pub use spec::spec_yaml;
pub use state::AppState;
