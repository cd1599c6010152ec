use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{Collection, Waiting, begin, retention::Summary, waiting};
use crate::{
    call::{self, seed_of},
    call_limit::{self, RecentCalls},
    completeness, document,
    progress::{
        self, CollectionState, ERRORS_MAX, ErrorCount,
        counts::{self, Counts, Speeds},
    },
    source,
};

/// How long ago what is called recent may be.
const RECENT_S: f64 = 10.0;

/// How far a collection has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The collection.
    pub collection: Collection,
    /// What has become of its calls and documents.
    pub counts: Counts,
    /// How fast it goes.
    pub speeds: Speeds,
    /// Calls in all, where known: the pages of the first list, and the calls that were found to follow from
    /// it so far.
    pub pages_expected: Option<i64>,
    /// Documents of all collections that wait to be parsed.
    pub total_backlog: i64,
    /// Whether pages wait, or did within three seconds, because too many documents of the source wait to be
    /// parsed.
    pub is_lagging: bool,
    /// The most calls in any second that the source allows.
    pub calls_per_second: f64,
    /// The recent calls; none when the collection is over.
    pub recent_calls: RecentCalls,
    /// The errors, the most frequent first, at most 20 kinds.
    pub errors: Vec<ErrorCount>,
    /// What keeps it from going on, the most decisive first.
    pub waiting: Vec<Waiting>,
    /// The collection of the same source that has to be over before this one begins.
    pub waits_for: Option<Uuid>,
    /// Whether it has all that its source listed, as far as can be known; `None` before its end.
    pub is_complete: Option<bool>,
    /// Whether its calls were deleted after their time.
    pub calls_deleted: bool,
    /// Whether it ended because it had as many items as were asked for; there may be more.
    pub is_cut: bool,
    /// The database's time of this look.
    pub seen_at: DateTime<Utc>,
}

/// How far the collection of this id has come; `None` when there is none. Some milliseconds, whatever its
/// size.
///
/// # Errors
/// The database's.
pub async fn progress(pool: &PgPool, id: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!(
        r#"
        select c.source, c.state as "state: CollectionState", c.count, c.per_page, c.batch_size,
               coalesce((c.request ->> 'error_mode')::boolean, false) as "error_mode!",
               (c.request ->> 'seed')::bigint as seed, c.created_at, c.started_at, c.finished_at, c.pages_expected, c.is_cut,
               coalesce(c.lagged_at > now() - interval '3 s', false) and c.finished_at is null as "is_lagging!",
               c.summary as "summary: Json<Summary>", now() as "seen_at!"
        from collections c where c.id = $1
        "#,
        id,
    );
    let Some(row) = row.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let collection = Collection {
        id,
        source: row.source,
        state: row.state,
        count: row.count,
        per_page: row.per_page,
        batch_size: row.batch_size,
        error_mode: row.error_mode,
        seed: seed_of(id, row.seed),
        created_at: row.created_at,
        started_at: row.started_at,
        finished_at: row.finished_at,
    };
    let counts = counts::sum(&mut conn, id).await?;
    let speeds = counts::speeds(&mut conn, id).await?;
    let definition = source::of_collection(&mut conn, &collection.source).await?.definition;
    let recent_calls = match collection.state.is_over() {
        true => RecentCalls::default(),
        false => call_limit::recent_calls(&mut conn, &collection.source, id).await?,
    };
    let waits_for = begin::waits_for(&mut conn, id).await?;
    let (errors, is_complete) = errors(&mut conn, &collection, row.is_cut, row.summary.as_deref()).await?;
    // A look that waits for a second connection while it holds one could starve the pool.
    drop(conn);
    let is_lagging = row.is_lagging && counts.pending() > 0;
    Ok(Some(Progress {
        pages_expected: row.pages_expected.map(|pages| i64::from(pages) + counts.opened_behind),
        waiting: waiting::reasons(pool, &collection, &counts, waits_for, is_lagging).await?,
        calls_per_second: definition.calls_per_second(),
        collection,
        counts,
        speeds,
        total_backlog: document::backlog_by_source(pool).await?.into_values().sum(),
        is_lagging,
        recent_calls,
        errors,
        waits_for,
        is_complete,
        calls_deleted: row.summary.is_some(),
        is_cut: row.is_cut,
        seen_at: row.seen_at,
    }))
}

/// The errors of a collection, and whether it has all that its source listed; `None` before its end.
async fn errors(
    conn: &mut PgConnection,
    collection: &Collection,
    is_cut: bool,
    summary: Option<&Summary>,
) -> Result<(Vec<ErrorCount>, Option<bool>), sqlx::Error> {
    let (id, is_over) = (collection.id, collection.state.is_over());
    if let Some(summary) = summary {
        let errors = with_failures(conn, id, summary.errors()).await?;
        return Ok((errors, is_over.then_some(summary.has_everything)));
    }
    let calls = call::error_counts(conn, id, false, ERRORS_MAX).await?;
    let harmless = progress::harmless();
    let has_errors = calls.iter().any(|error| !harmless.contains(&error.code.as_str()));
    let mut errors = with_failures(conn, id, calls).await?;
    if !is_over {
        return Ok((errors, None));
    }
    let doubts = completeness::doubts(conn, id).await?;
    let has_everything =
        !is_cut && !has_errors && doubts.is_empty() && collection.state != CollectionState::Cancelled;
    errors.extend(doubts);
    Ok((errors, Some(has_everything)))
}

/// These errors and those of the documents of a collection.
async fn with_failures(
    conn: &mut PgConnection,
    id: Uuid,
    calls: Vec<ErrorCount>,
) -> Result<Vec<ErrorCount>, sqlx::Error> {
    let documents = document::failure_counts(conn, id, ERRORS_MAX).await?;
    let mut all: Vec<ErrorCount> = calls.into_iter().chain(documents).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
    all.truncate(ERRORS_MAX as usize);
    Ok(all)
}

impl Progress {
    /// How much is done, 0 to 100: half for the calls, half for the documents. 100 only where everything was
    /// done: a collection that was cancelled, or lost calls, stays below. Zero while nobody knows how much
    /// there is.
    pub fn percent(&self) -> f64 {
        use CollectionState::{Completed, CompletedWithErrors};
        let state = self.collection.state;
        let is_done = state == Completed || state == CompletedWithErrors && self.counts.failed_calls == 0;
        if is_done {
            return 100.0;
        }
        let counts = &self.counts;
        let items = counts.stored + counts.unchanged;
        let calls = match (self.pages_expected, self.collection.count) {
            (Some(_), _) => share(counts.done, self.pages_expected),
            (None, Some(count)) => share(counts.listed.max(items), Some(count)),
            (None, None) => 0.0,
        };
        let settled = counts.unchanged + counts.parsed + counts.failed;
        let documents = share(settled, Some(self.documents_expected().max(1)));
        (50.0 * (calls + documents.min(calls))).min(99.9)
    }

    /// The time until now, or until the end.
    pub fn elapsed(&self) -> Duration {
        let end = self.collection.finished_at.unwrap_or(self.seen_at);
        (end - self.collection.created_at).to_std().unwrap_or_default()
    }

    /// How many calls are still to be made, as far as the source has said; `None` while it has not.
    pub fn pages_left(&self) -> Option<i64> {
        let left = self.pages_expected? - self.counts.done - self.counts.failed_calls;
        Some(left.max(self.counts.pending()))
    }

    /// Documents that failed to parse, or were given up.
    pub fn failed(&self) -> i64 {
        self.counts.failed + self.counts.given_up
    }

    /// How many documents were parsed in a second lately.
    pub fn parsed_per_second(&self) -> f64 {
        if self.collection.state.is_over() { 0.0 } else { self.speeds.settled_per_second }
    }

    /// How many calls left in a second, in the last ten seconds or since the collection was triggered.
    pub fn called_per_second(&self) -> f64 {
        let seconds = self.elapsed().as_secs_f64().clamp(1.0, RECENT_S);
        self.recent_calls.calls as f64 / seconds
    }

    /// Whether anything has happened from `before` to this look. What goes on by itself, as times and speeds
    /// do, is nothing.
    pub fn differs_from(&self, before: &Self) -> bool {
        let at_the_time = Self {
            total_backlog: before.total_backlog,
            speeds: before.speeds,
            recent_calls: before.recent_calls,
            seen_at: before.seen_at,
            ..self.clone()
        };
        at_the_time != *before
    }

    /// How many documents there will be: those seen, and as many on each of the other pages as on those
    /// before, of which some may bring one item or none; full pages while there is nothing to judge by. But
    /// no more than were asked for.
    fn documents_expected(&self) -> i64 {
        let seen = self.counts.stored + self.counts.unchanged;
        let left = self.pages_expected.unwrap_or(0) - self.counts.done - self.counts.failed_calls;
        let left = left.max(0);
        let to_come = match (seen, self.counts.done) {
            (1.., 1..) => (left * seen + self.counts.done - 1) / self.counts.done,
            _ => left.saturating_mul(i64::from(self.collection.per_page)),
        };
        let room = self.collection.count.map_or(i64::MAX, |count| (count - seen).max(0));
        seen + to_come.min(room)
    }

    /// How many documents the calls that are left will bring to be parsed, if they are like those before.
    pub(super) fn documents_to_come(&self, calls: i64) -> f64 {
        let items = self.counts.stored + self.counts.unchanged;
        if items == 0 {
            return 0.0;
        }
        let room = self.collection.count.map_or(f64::MAX, |count| (count - items).max(0) as f64);
        let each = items as f64 / self.counts.done.max(1) as f64;
        (calls as f64 * each).min(room) * self.counts.stored as f64 / items as f64
    }
}

fn share(done: i64, of: Option<i64>) -> f64 {
    match of {
        Some(of) if of > 0 => (done as f64 / of as f64).clamp(0.0, 1.0),
        _ => 0.0,
    }
}
