use std::{borrow::Cow, fmt, time::Duration};

use apalis_core::error::{AbortError, BoxDynError, DeferredError, RetryAfterError};

/// What a handler says when an attempt did not succeed. Return it as it is, or as the cause of another error;
/// an `anyhow::Error` made from it hides it, unless it has a context.
///
/// Waits are by the database's clock, and cut at a year. Of an error and its causes 4,096 bytes are kept.
#[derive(Debug)]
pub enum JobError {
    /// Try again after the backoff; discarded when the attempts are used up.
    Retry(BoxDynError),
    /// Try again after exactly this time, for example what a `Retry-After` header asks; uses an attempt.
    RetryAfter(BoxDynError, Duration),
    /// Not now: come back after this time; uses no attempt and is no failure.
    Snooze(Duration),
    /// Trying again cannot help: discard now.
    Discard(BoxDynError),
}

impl JobError {
    /// Wraps any error as [`JobError::Retry`]: `.map_err(JobError::retry)?`.
    pub fn retry(error: impl Into<BoxDynError>) -> Self {
        Self::Retry(error.into())
    }

    /// Wraps any error as [`JobError::Discard`].
    pub fn discard(error: impl Into<BoxDynError>) -> Self {
        Self::Discard(error.into())
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(_) => f.write_str("attempt failed"),
            Self::RetryAfter(_, wait) => write!(f, "attempt failed, next one in {wait:?}"),
            Self::Snooze(wait) => write!(f, "snoozed for {wait:?}"),
            Self::Discard(_) => f.write_str("attempt failed for good"),
        }
    }
}

impl std::error::Error for JobError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Retry(e) | Self::RetryAfter(e, _) | Self::Discard(e) => Some(e.as_ref()),
            Self::Snooze(_) => None,
        }
    }
}

/// An error with a code that never changes, by which failures are counted, filtered and alerted on. It may be
/// anywhere in the chain of an error that a handler returns, also inside a [`JobError`]; the outermost
/// counts.
#[derive(Debug)]
pub struct Coded {
    code: Cow<'static, str>,
    error: BoxDynError,
}

impl Coded {
    /// Puts a code on an error: a few words in `snake_case`, and behind a colon what tells more, which
    /// metrics leave out. The text of the error stays as it is.
    pub fn new(code: impl Into<Cow<'static, str>>, error: impl Into<BoxDynError>) -> Self {
        Self { code: code.into(), error: error.into() }
    }
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Coded {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.error.as_ref())
    }
}

/// The code of a job whose payload no worker has understood so far. It is left to newer ones.
pub const UNDECODABLE_PAYLOAD: &str = "undecodable_payload";

/// The other codes that the queue gives by itself.
pub(crate) mod code {
    /// An error without a code of its own.
    pub(crate) const ERROR: &str = "error";
    pub(crate) const PANIC: &str = "panic";
    pub(crate) const TIMEOUT: &str = "timeout";
    pub(crate) const WORKER_DIED: &str = "worker_died";
    pub(crate) const LEASE_EXPIRED: &str = "lease_expired";
}

/// What an error means for its job.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Retry(Failure),
    RetryAfter(Failure, Duration),
    Snooze(Duration),
    Discard(Failure),
}

/// The text of a failed attempt's error, and its code.
#[derive(Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) code: Cow<'static, str>,
}

/// Reads the verdict out of whatever error came through the layers: the first in its chain of causes that is
/// ours or one of apalis' own; a stranger means [`JobError::Retry`].
pub(crate) fn verdict(error: BoxDynError) -> Verdict {
    let failure = || Failure { error: chain(error.as_ref()), code: code_of(error.as_ref()) };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<JobError>() {
            return match ours {
                JobError::Retry(_) => Verdict::Retry(failure()),
                JobError::RetryAfter(_, wait) => Verdict::RetryAfter(failure(), *wait),
                JobError::Snooze(wait) => Verdict::Snooze(*wait),
                JobError::Discard(_) => Verdict::Discard(failure()),
            };
        }
        if error.is::<AbortError>() {
            return Verdict::Discard(failure());
        }
        if let Some(wait) = error.downcast_ref::<RetryAfterError>().map(RetryAfterError::get_duration) {
            return Verdict::RetryAfter(failure(), wait);
        }
        if error.is::<DeferredError>() {
            return Verdict::Snooze(Duration::ZERO);
        }
        cause = error.source();
    }
    Verdict::Retry(failure())
}

fn code_of(error: &(dyn std::error::Error + 'static)) -> Cow<'static, str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(coded) = error.downcast_ref::<Coded>() {
            return coded.code.clone();
        }
        cause = error.source();
    }
    code::ERROR.into()
}

/// An error and its causes on one line, without what a [`JobError`] says of the job and without causes that
/// the outer text already ends with.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = String::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let next = if error.is::<JobError>() { String::new() } else { error.to_string() };
        if !text.ends_with(&next) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// Why [`Lease::complete_in`](crate::Lease::complete_in) did not complete the job. Roll back in either case.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// The lease expired or was taken back, and the job is no longer this attempt's to complete.
    #[error("job {0} is no longer held by this attempt")]
    LeaseLost(crate::JobId),
    /// The database refused.
    #[error("completing the job failed")]
    Database(#[from] sqlx::Error),
}
