//! The W3C trace context that a job carries, from whoever enqueued it to whatever it enqueues.

use std::future::Future;

tokio::task_local! {
    static TRACEPARENT: Option<String>;
}

/// The longest value that is kept. Version 00 has 55 characters; what is longer is not a trace context.
const MAX_BYTES: usize = 128;

/// Runs `future` under the trace context `traceparent`: every job that it enqueues carries it, and so do the
/// jobs that those enqueue. The queue does not look into it (<https://www.w3.org/TR/trace-context/>); one
/// that is longer than 128 bytes or not ASCII is ignored.
pub async fn with_traceparent<F: Future>(traceparent: Option<String>, future: F) -> F::Output {
    let traceparent =
        traceparent.filter(|value| value.len() <= MAX_BYTES && value.bytes().all(|b| b.is_ascii_graphic()));
    TRACEPARENT.scope(traceparent, future).await
}

/// The trace context that the running task is under.
pub fn current() -> Option<String> {
    TRACEPARENT.try_with(Clone::clone).ok().flatten()
}
