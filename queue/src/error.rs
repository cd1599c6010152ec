use std::{fmt, time::Duration};

use apalis_core::error::{AbortError, BoxDynError, DeferredError, RetryAfterError};

/// What a handler says when an attempt did not succeed. Return it as it is, or as the cause of another error; an
/// `anyhow::Error` made from it hides it, unless it has a context.
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

/// What an error means for its job, and its text.
#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    Retry(String),
    RetryAfter(String, Duration),
    Snooze(Duration),
    Discard(String),
}

/// Reads the verdict out of whatever error came through the layers: the first in its chain of causes that is ours or one
/// of apalis' own; a stranger means [`JobError::Retry`].
pub(crate) fn verdict(error: BoxDynError) -> Verdict {
    let text = || chain(error.as_ref());
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error.as_ref());
    while let Some(error) = cause {
        if let Some(ours) = error.downcast_ref::<JobError>() {
            return match ours {
                JobError::Retry(_) => Verdict::Retry(text()),
                JobError::RetryAfter(_, wait) => Verdict::RetryAfter(text(), *wait),
                JobError::Snooze(wait) => Verdict::Snooze(*wait),
                JobError::Discard(_) => Verdict::Discard(text()),
            };
        }
        if error.is::<AbortError>() {
            return Verdict::Discard(text());
        }
        if let Some(wait) = error.downcast_ref::<RetryAfterError>().map(RetryAfterError::get_duration) {
            return Verdict::RetryAfter(text(), wait);
        }
        if error.is::<DeferredError>() {
            return Verdict::Snooze(Duration::ZERO);
        }
        cause = error.source();
    }
    Verdict::Retry(text())
}

/// An error and its causes on one line, without what a [`JobError`] says of the job and without causes that the outer
/// text already ends with.
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
