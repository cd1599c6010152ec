//! What people do to jobs and queues, from any process.

mod again;
pub(crate) mod end;
pub(crate) mod filter;
mod forget;
mod hasten;
mod limits;
pub(crate) mod retry;
mod standing;
pub(crate) mod stop;

pub use end::{END_STATES, cancel, cancel_all, discard, discard_all};
pub use filter::{Changed, Count, JobFilter, Progress, Remaining, count};
pub use forget::forget_errors;
pub use hasten::hasten_key;
pub use limits::{Limits, limit_queue, pause_queue, unpause_queue};
pub use retry::{RETRY_STATES, retry, retry_all};
pub use standing::end_stands;
