use std::{borrow::Cow, collections::HashSet, time::Duration};

use sqlx::{Connection, PgConnection};

use crate::{JobId, UNDECODABLE_PAYLOAD, backoff::WAIT_MAX};

/// The longest error text that is kept of an attempt.
const MAX_ERROR_BYTES: usize = 4096;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The job is done.
    Completed,
    /// Run again after `wait`, unless that was the last attempt.
    Retry { error: String, code: Cow<'static, str>, wait: Duration },
    /// Run again after this time; the attempt is given back.
    Snoozed(Duration),
    /// Not run, because this worker does not understand the payload: a newer one may. Again after `wait`; the
    /// attempt is given back.
    NotUnderstood { error: String, wait: Duration },
    /// Not run, or not to its end, for no fault of the job: at once to whoever wants it; the attempt is given
    /// back.
    HandedBack,
    /// Not run to its end, since somebody asked for the end of the job: that is what it gets.
    AsAsked,
    /// Over, with this error.
    Discarded { error: String, code: Cow<'static, str> },
}

/// An attempt and its end. It takes effect only while the attempt still holds the job.
#[derive(Debug, Clone)]
pub(crate) struct Settlement {
    pub(crate) id: JobId,
    pub(crate) fence: i32,
    pub(crate) outcome: Outcome,
}

/// Settles a batch in one transaction and tells which jobs were settled; the others were no longer held under
/// the fence given, and are left alone.
pub(crate) async fn settle(
    conn: &mut PgConnection,
    batch: &[Settlement],
) -> Result<HashSet<JobId>, sqlx::Error> {
    if batch.is_empty() {
        return Ok(HashSet::new());
    }
    let (completed, rest): (Vec<&Settlement>, Vec<&Settlement>) =
        batch.iter().partition(|s| s.outcome == Outcome::Completed);
    if rest.is_empty() {
        return complete(conn, &completed).await;
    }
    let mut tx = conn.begin().await?;
    let mut settled = end_attempts(&mut tx, &rest).await?;
    if !completed.is_empty() {
        settled.extend(complete(&mut tx, &completed).await?);
    }
    tx.commit().await?;
    Ok(settled)
}

/// Completes one job in the caller's transaction; false when the fence does not hold it any more.
pub(crate) async fn complete_one(
    conn: &mut PgConnection,
    id: JobId,
    fence: i32,
) -> Result<bool, sqlx::Error> {
    let done = complete(conn, &[&Settlement { id, fence, outcome: Outcome::Completed }]).await?;
    Ok(done.contains(&id))
}

async fn complete(conn: &mut PgConnection, batch: &[&Settlement]) -> Result<HashSet<JobId>, sqlx::Error> {
    let ids: Vec<i64> = batch.iter().map(|s| s.id).collect();
    let fences: Vec<i32> = batch.iter().map(|s| s.fence).collect();
    let done = sqlx::query_scalar!(r#"select queue.complete($1, $2) as "id!""#, &ids, &fences);
    Ok(done.fetch_all(conn).await?.into_iter().collect())
}

/// Ends the attempts that did not complete their job.
async fn end_attempts(conn: &mut PgConnection, batch: &[&Settlement]) -> Result<HashSet<JobId>, sqlx::Error> {
    let ids: Vec<i64> = batch.iter().map(|s| s.id).collect();
    let fences: Vec<i32> = batch.iter().map(|s| s.fence).collect();
    let errors: Vec<Option<String>> = batch.iter().map(|s| s.outcome.error().map(storable)).collect();
    let codes: Vec<Option<String>> = batch.iter().map(|s| s.outcome.code().map(str::to_owned)).collect();
    let waits: Vec<f64> = batch.iter().map(|s| s.outcome.wait().as_secs_f64()).collect();
    // Whether the attempt counts, and whether there may be another one.
    let counts: Vec<bool> = batch
        .iter()
        .map(|s| matches!(s.outcome, Outcome::Retry { .. } | Outcome::Discarded { .. }))
        .collect();
    let finals: Vec<bool> = batch.iter().map(|s| matches!(s.outcome, Outcome::Discarded { .. })).collect();
    let done = sqlx::query_file_scalar!(
        "src/end_attempts.sql",
        &ids,
        &fences,
        &errors as &[Option<String>],
        &codes as &[Option<String>],
        &waits,
        &counts,
        &finals,
    )
    .fetch_all(conn)
    .await?;
    Ok(done.into_iter().flatten().collect())
}

impl Outcome {
    fn error(&self) -> Option<&str> {
        match self {
            Self::Retry { error, .. } | Self::NotUnderstood { error, .. } | Self::Discarded { error, .. } => {
                Some(error)
            }
            Self::Completed | Self::Snoozed(_) | Self::HandedBack | Self::AsAsked => None,
        }
    }

    fn code(&self) -> Option<&str> {
        match self {
            Self::Retry { code, .. } | Self::Discarded { code, .. } => Some(code),
            Self::NotUnderstood { .. } => Some(UNDECODABLE_PAYLOAD),
            Self::Completed | Self::Snoozed(_) | Self::HandedBack | Self::AsAsked => None,
        }
    }

    fn wait(&self) -> Duration {
        match self {
            Self::Retry { wait, .. } | Self::NotUnderstood { wait, .. } | Self::Snoozed(wait) => {
                (*wait).min(WAIT_MAX)
            }
            _ => Duration::ZERO,
        }
    }
}

/// Postgres stores no NUL in a text, and nobody reads a megabyte of error, here or in a log. Does nothing to
/// a text that has been through it.
pub(crate) fn storable(error: &str) -> String {
    let mut text = error.replace('\0', "\u{fffd}");
    if text.len() > MAX_ERROR_BYTES + '…'.len_utf8() {
        text.truncate(text.floor_char_boundary(MAX_ERROR_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_are_made_storable() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        let long = storable(&"ä".repeat(MAX_ERROR_BYTES));
        assert!(long.len() <= MAX_ERROR_BYTES + '…'.len_utf8());
        assert!(long.ends_with('…'));
        assert_eq!(storable(&long), long);
    }
}
