use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    Collection, CollectionState, NUMBERS_BEHIND, begin, completeness,
    eta::{Course, Mark, RECENT},
};
use crate::{
    attachment,
    call_limit::{self, RecentCalls},
    resume, source,
};

/// How many kinds of error are listed.
const ERRORS_MAX: i64 = 20;

/// How far a collection has come.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The collection.
    pub collection: Collection,
    /// Pages in all, where known: those of the first list, and the calls that were found to follow from it so far.
    pub pages_expected: Option<i64>,
    /// Pages that are stored.
    pub pages_fetched: i64,
    /// Pages that were given up.
    pub pages_failed: i64,
    /// Pages that are known, and wait to be fetched.
    pub pages_pending: i64,
    /// Those of the stored pages that tell who was deleted, and bring no items.
    pub feed_fetched: i64,
    /// Those of the pending pages that do.
    pub feed_pending: i64,
    /// How the pages came.
    pub pages: Course,
    /// Documents stored by this collection.
    pub stored: i64,
    /// Items that were known by their hash, and not parsed again.
    pub unchanged: i64,
    /// Documents that became resumes.
    pub parsed: i64,
    /// Documents that failed to parse.
    pub failed: i64,
    /// Documents that are stored and wait to be parsed, or are being parsed.
    pub backlog: i64,
    /// The same of all collections, by pages: all documents of a page wait until its last one is parsed.
    pub total_backlog: i64,
    /// Whether pages wait, or did within three seconds, because the backlog of all collections is over its bound.
    pub is_lagging: bool,
    /// How documents became resumes, or failed.
    pub parsing: Course,
    /// Calls to the source, those without success included.
    pub calls: i64,
    /// Calls that the source refused with 429.
    pub rate_limited: i64,
    /// The most calls in any second that the source allows.
    pub calls_per_second: f64,
    /// The calls of late; none when the collection is over.
    pub recent_calls: RecentCalls,
    /// The errors, the most frequent first, at most 20 kinds.
    pub errors: Vec<ErrorCount>,
    /// The collection of the same source that has to be over before this one begins.
    pub waits_for: Option<Uuid>,
    /// Whether it has all that its source listed, as far as that can be told; `None` before its end.
    pub is_complete: Option<bool>,
    /// The database's time of this look.
    pub seen_at: DateTime<Utc>,
}

/// How often an error happened, and one place where it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorCount {
    /// Its stable code.
    pub code: String,
    /// How often.
    pub count: i64,
    /// One of them, for people.
    pub sample: String,
}

/// How far the collection of this id has come; `None` when there is none. Reads every page's row: some 50 ms for a
/// hundred thousand pages.
///
/// # Errors
/// The database's.
pub async fn progress(pool: &PgPool, id: Uuid) -> Result<Option<Progress>, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let row = sqlx::query!(
        r#"
        select c.id, c.source, c.state as "state: CollectionState", c.count, c.per_page, c.batch_size, c.error_mode,
               c.seed, c.created_at, c.started_at, c.finished_at, c.pages_expected, c.is_cut,
               now() as "seen_at!", p.fetched as "fetched!", p.given_up as "given_up!", p.stored as "stored!",
               p.unchanged as "unchanged!", p.parsed as "parsed!", p.failed as "failed!", p.calls as "calls!",
               p.rate_limited as "rate_limited!", p.behind as "behind!", p.with_errors > 0 as "has_errors!", p.pending as "pending!", p.backlog as "backlog!",
               p.feed_fetched as "feed_fetched!", p.feed_pending as "feed_pending!",
               p.first_fetched_at, p.last_fetched_at, p.fetched_earlier as "fetched_earlier!", p.fetched_earlier_at,
               p.settled_at, p.settled_before as "settled_before!", p.settled_before_at, p.done as "done!", p.done_at,
               p.done_before as "done_before!", p.done_before_at, p.done_earlier as "done_earlier!", p.done_earlier_at,
               p.done_earliest as "done_earliest!", p.done_earliest_at,
               coalesce(c.lagged_at > now() - interval '3 s', false) and c.finished_at is null as "is_lagging!",
               (select coalesce(sum(documents_open), 0) from collections where finished_at is null) as "total_backlog!"
        from collections c
        cross join lateral (
            select count(fetched_at) as fetched, count(*) filter (where state = 'failed') as given_up,
                   coalesce(sum(stored), 0) as stored, coalesce(sum(unchanged), 0) as unchanged,
                   coalesce(sum(parsed), 0) as parsed, coalesce(sum(failed), 0) as failed,
                   coalesce(sum(calls), 0) as calls, coalesce(sum(rate_limited), 0) as rate_limited,
                   count(*) filter (where (state = 'failed' or error_code is not null)
                                      and coalesce(error_code, '') <> all($3)) as with_errors,
                   count(*) filter (where number >= $2) as behind,
                   count(*) filter (where state = 'pending') as pending,
                   count(fetched_at) filter (where step = 'deleted') as feed_fetched,
                   count(*) filter (where step = 'deleted' and state = 'pending') as feed_pending,
                   coalesce(sum(stored - parsed - failed) filter (where state = 'fetched'), 0) as backlog,
                   min(fetched_at) as first_fetched_at, max(fetched_at) as last_fetched_at,
                   count(*) filter (where fetched_at <= recent.since) as fetched_earlier,
                   max(fetched_at) filter (where fetched_at <= recent.since) as fetched_earlier_at,
                   max(settled_at) as settled_at,
                   coalesce(sum(parsed + failed) filter (
                       where settled_at <= now() - interval '1 s'), 0) as settled_before,
                   max(settled_at) filter (where settled_at <= now() - interval '1 s') as settled_before_at,
                   coalesce(sum(parsed + failed) filter (where state = 'done'), 0) as done,
                   max(settled_at) filter (where state = 'done') as done_at,
                   coalesce(sum(parsed + failed) filter (
                       where state = 'done' and settled_at <= now() - interval '1 s'), 0) as done_before,
                   max(settled_at) filter (
                       where state = 'done' and settled_at <= now() - interval '1 s') as done_before_at,
                   coalesce(sum(parsed + failed) filter (
                       where state = 'done' and settled_at <= recent.since), 0) as done_earlier,
                   max(settled_at) filter (
                       where state = 'done' and settled_at <= recent.since) as done_earlier_at,
                   coalesce(sum(parsed + failed) filter (
                       where state = 'done' and settled_at <= recent.since - interval '1 s'), 0) as done_earliest,
                   max(settled_at) filter (
                       where state = 'done' and settled_at <= recent.since - interval '1 s') as done_earliest_at
            from pages, (select now() - least(interval '10 s', (now() - c.started_at) / 2) as since offset 0) recent
            where collection_id = c.id
        ) p
        where c.id = $1
        "#,
        id,
        NUMBERS_BEHIND,
        &attachment::NOT_KEPT as &[&str],
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(r) = row else { return Ok(None) };
    let definition = source::of_collection(&mut conn, &r.source).await?.definition;
    let calls_per_second = definition.calls_per_second();
    let recent_calls = match r.finished_at {
        Some(_) => RecentCalls::default(),
        None => call_limit::recent_calls(&mut conn, &r.source, id).await?,
    };
    let waits_for = begin::waits_for(&mut conn, id).await?;
    let mut errors = errors(&mut conn, id).await?;
    let doubts =
        if r.finished_at.is_some() { completeness::doubts(&mut conn, id).await? } else { Vec::new() };
    let has_everything =
        !r.is_cut && !r.has_errors && doubts.is_empty() && r.state != CollectionState::Cancelled;
    errors.extend(doubts);
    // From when on there was something to parse.
    let first = mark(r.first_fetched_at, 0);
    let parsing = match mark(r.done_earlier_at, r.done_earlier) {
        // When a batch is settled only the latest of its page is known: what is compared with earlier counts by whole pages.
        earlier @ Some(_) => Course {
            first,
            earliest: mark(r.done_earliest_at, r.done_earliest).or(first),
            earlier,
            before: mark(r.done_before_at, r.done_before),
            last: mark(r.done_at, r.done),
        },
        None => Course {
            first,
            before: mark(r.settled_before_at, r.settled_before),
            last: mark(r.settled_at, r.parsed + r.failed),
            ..Course::default()
        },
    };
    Ok(Some(Progress {
        collection: Collection {
            id: r.id,
            source: r.source,
            state: r.state,
            count: r.count,
            per_page: r.per_page,
            batch_size: r.batch_size,
            error_mode: r.error_mode,
            seed: r.seed,
            created_at: r.created_at,
            started_at: r.started_at,
            finished_at: r.finished_at,
        },
        pages_expected: r.pages_expected.map(|pages| i64::from(pages) + r.behind),
        pages_fetched: r.fetched,
        pages_failed: r.given_up,
        pages_pending: r.pending,
        feed_fetched: r.feed_fetched,
        feed_pending: r.feed_pending,
        pages: Course {
            first: mark(r.first_fetched_at, 1),
            earlier: mark(r.fetched_earlier_at, r.fetched_earlier),
            last: mark(r.last_fetched_at, r.fetched),
            ..Course::default()
        },
        stored: r.stored,
        unchanged: r.unchanged,
        parsed: r.parsed,
        failed: r.failed,
        backlog: r.backlog,
        total_backlog: r.total_backlog,
        is_lagging: r.is_lagging && r.pending > 0,
        parsing,
        calls: r.calls,
        rate_limited: r.rate_limited,
        calls_per_second,
        recent_calls,
        errors,
        waits_for,
        is_complete: r.finished_at.map(|_| has_everything),
        seen_at: r.seen_at,
    }))
}

fn mark(at: Option<DateTime<Utc>>, count: i64) -> Option<Mark> {
    at.map(|at| Mark { at, count })
}

async fn errors(conn: &mut PgConnection, id: Uuid) -> Result<Vec<ErrorCount>, sqlx::Error> {
    let pages = sqlx::query_as!(
        ErrorCount,
        r#"
        select error_code as "code!", count(*) as "count!",
               (array_agg(case when step = 'detail' then 'detail of ' || item
                               when step = 'deleted' then 'page ' || place || ' of the deleted'
                               when step = 'attachment' then 'attachment ' || name || ' of ' || item
                               else 'page ' || coalesce(place, number) || coalesce(' of ' || parent, '') end
                          || ': ' || coalesce(error, '') order by number))[1] as "sample!"
        from pages where collection_id = $1 and error_code is not null
        group by error_code order by count(*) desc, error_code limit $2
        "#,
        id,
        ERRORS_MAX,
    )
    .fetch_all(&mut *conn)
    .await?;
    let documents = resume::failure_counts(conn, id, ERRORS_MAX).await?;
    let mut all: Vec<ErrorCount> = pages.into_iter().chain(documents).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
    all.truncate(ERRORS_MAX as usize);
    Ok(all)
}

impl Progress {
    /// How much is done, 0 to 100: half for the pages, half for the documents. 100 only when the collection is over.
    pub fn percent(&self) -> f64 {
        if self.collection.state.is_over() {
            return 100.0;
        }
        let pages = share(self.pages_fetched + self.pages_failed, self.pages_expected);
        let settled = self.unchanged + self.parsed + self.failed;
        let documents = share(settled, Some(self.documents_expected()));
        (50.0 * (pages + documents)).min(99.9)
    }

    /// The time until now, or until the end.
    pub fn elapsed(&self) -> Duration {
        let end = self.collection.finished_at.unwrap_or(self.seen_at);
        (end - self.collection.created_at).to_std().unwrap_or_default()
    }

    /// How many pages are still to be fetched, as far as the source has told; `None` while it has not.
    pub fn pages_left(&self) -> Option<i64> {
        let left = self.pages_expected? - self.pages_fetched - self.pages_failed;
        Some(left.max(self.pages_pending))
    }

    /// How many pages were stored that may bring items, and how many of so many that are left may.
    pub(super) fn with_items(&self, left: i64) -> (i64, i64) {
        (self.pages_fetched - self.feed_fetched, (left - self.feed_pending).max(0))
    }

    /// How many documents were parsed in a second, in the last ten seconds.
    pub fn parsed_per_second(&self) -> f64 {
        if self.collection.state.is_over() { 0.0 } else { self.parsing.recent_per_second(self.seen_at) }
    }

    /// How many calls left in a second, in the last ten seconds or since the collection was triggered.
    pub fn called_per_second(&self) -> f64 {
        let seconds = self.elapsed().as_secs_f64().clamp(1.0, RECENT.as_seconds_f64());
        self.recent_calls.calls as f64 / seconds
    }

    /// Whether anything has happened from `before` to this look. What goes on by itself, as times and speeds do, is nothing.
    pub fn differs_from(&self, before: &Self) -> bool {
        let at_the_time = Self {
            total_backlog: before.total_backlog,
            pages: before.pages,
            parsing: before.parsing,
            recent_calls: before.recent_calls,
            seen_at: before.seen_at,
            ..self.clone()
        };
        at_the_time != *before
    }

    /// How many documents there will be: those seen, and as many on each of the other pages as on those before, of which some may
    /// bring one item or none; full pages while there is nothing to judge by. But no more than were asked for.
    fn documents_expected(&self) -> i64 {
        let seen = self.stored + self.unchanged;
        let left = self.pages_expected.unwrap_or(0) - self.pages_fetched - self.pages_failed;
        let (fetched, pages_left) = self.with_items(left);
        let to_come = match (seen, fetched) {
            (1.., 1..) => (pages_left * seen + fetched - 1) / fetched,
            _ => pages_left * i64::from(self.collection.per_page),
        };
        seen + to_come.min((i64::from(self.collection.count) - seen).max(0))
    }
}

fn share(done: i64, of: Option<i64>) -> f64 {
    match of {
        Some(of) if of > 0 => (done as f64 / of as f64).min(1.0),
        _ => 0.0,
    }
}
