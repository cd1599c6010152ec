//! The kinds of jobs. What each does is in `handlers/`.

use resume_queue::{Discarded, Job};
use serde::{Deserialize, Serialize};

/// The follow-up of every discarded job here.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Mourn(pub(super) Discarded);

impl Job for Mourn {
    const KIND: &'static str = "mourn";
}

/// Is enqueued by the schedule of this name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tick {
    pub(super) schedule: String,
}

impl Job for Tick {
    const KIND: &'static str = "tick";
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $max_attempts:literal, $on_discard:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Serialize, Deserialize)]
        pub(super) struct $name {
            pub(super) n: i64,
        }

        impl Job for $name {
            const KIND: &'static str = $kind;
            const MAX_ATTEMPTS: u16 = $max_attempts;
            const ON_DISCARD: Option<&'static str> = $on_discard;
        }
    )*};
}

kinds! {
    /// Has no effect and is completed by the queue.
    Plain, "plain", 5, None;
    /// Has an effect, in the transaction that completes it.
    Effect, "effect", 5, None;
    /// Fails once, and says when to try again.
    Flaky, "flaky", 5, None;
    /// Panics once, and waits for the backoff.
    Panics, "panics", 5, None;
    /// Fails until it is discarded.
    Doomed, "doomed", 2, Some(Mourn::KIND);
    /// Asks to be discarded at once.
    Hopeless, "hopeless", 5, Some(Mourn::KIND);
    /// Comes back later, once.
    Snoozer, "snoozer", 5, None;
    /// Enqueues two jobs with the same idempotency key in the transaction of its effect.
    Parent, "parent", 5, None;
    /// Is enqueued by another job, for later.
    Child, "child", 5, None;
    /// Runs until its lease was extended twice.
    Slow, "slow", 5, None;
    /// Runs until its worker stops; the helper ends it.
    Lingering, "lingering", 5, None;
    /// Ends jobs and retries others, resumes a queue, and founds a group.
    Operator, "operator", 5, None;
    /// Runs until it is asked to stop.
    Endless, "endless", 5, Some(Mourn::KIND);
    /// Asks to be discarded at its first attempt, and is retried by the operators.
    Retried, "retried", 5, None;
    /// Takes its time, in a queue with limits.
    Limited, "limited", 5, None;
    /// Is enqueued by every operator under one key, and lives until they have ended.
    Keyed, "keyed", 5, None;
    /// Changes schedules in the transaction of its effect.
    Planner, "planner", 5, None;
}
