use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use resume_queue::{EnqueueError, enqueue};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::doubts;
use crate::{
    call::keys::key_of,
    db, document,
    jobs::FinishCollection,
    progress::{self, ErrorCount},
    resume,
    source::{self, Source},
};

/// How many people are looked at, and hidden, in one transaction, for which those who store pages wait.
const PEOPLE_AT_ONCE: i64 = 10_000;

/// How much later than an answer was made it may be stored: many times what it takes.
const STORING_MAX: TimeDelta = TimeDelta::minutes(1);

/// A run may hide this many people of a source without asking, and a tenth of them where that is more.
const HIDE_FREELY_MAX: u64 = 20;

/// The code of a run that would hide more people than it may.
pub(crate) const TOO_MANY_MISSING: &str = "too_many_missing";

/// The result of hiding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hidden {
    /// How many people it hid.
    pub hidden: u64,
    /// People who were not hidden, because they are too many to be hidden without a person's confirmation.
    pub held_back: u64,
}

/// Hides people at the end of a run: those whom its feed of the deleted named and its list did not show; and,
/// where its source wants that, those whom it has not seen, if it has seen everything. That is a full run
/// that was not cut, with no call that failed and nothing doubtful about its list. Documents that failed to
/// parse were seen.
///
/// A run that would hide more than a tenth of the source for being missing, and more than 20 people, hides
/// none of them, and keeps the doubt `too_many_missing`, until somebody [confirms](confirm_hiding) it.
///
/// In transactions of its own; doing it again does no harm.
///
/// # Errors
/// The database's.
pub async fn hide_missing(pool: &PgPool, collection_id: Uuid) -> Result<Hidden, sqlx::Error> {
    let mut conn = pool.acquire().await?;
    let Some(run) = Run::find(&mut conn, collection_id).await? else { return Ok(Hidden::default()) };
    let list = &run.source.definition.list;
    if !list.hides_missing() && !list.has_deleted_feed() {
        return Ok(Hidden::default());
    }
    let looked_at = db::now(&mut *conn).await?;
    let seen = seen_since(&mut conn, &run, run.created_at).await?;
    let named = named_by_feed(&mut conn, collection_id).await?;
    let named = document::external_ids(&mut conn, &named).await?;
    drop(conn);
    let mut done = Hidden { hidden: hide(pool, &run, &named, &seen, looked_at).await?, held_back: 0 };
    if !list.hides_missing() || !run.has_everything || seen.is_empty() {
        return Ok(done);
    }
    let missing = missing(pool, &run, &seen).await?;
    let (all, gone) = (missing.shown, missing.people.len() as u64);
    if gone > HIDE_FREELY_MAX && gone * 10 > all && !run.is_confirmed {
        done.held_back = gone;
        let sample = format!(
            "{gone} of {all} people are no longer listed; nobody is hidden until somebody confirms it \
             (POST /api/v1/data-collection/{collection_id}/confirm-hiding)"
        );
        let doubt = ErrorCount { code: TOO_MANY_MISSING.to_owned(), count: gone as i64, sample };
        doubts::add(&mut *pool.acquire().await?, collection_id, &doubt).await?;
        return Ok(done);
    }
    done.hidden += hide(pool, &run, &missing.people, &seen, looked_at).await?;
    Ok(done)
}

/// A run whose calls have all ended.
struct Run {
    source: Source,
    created_at: DateTime<Utc>,
    has_everything: bool,
    is_confirmed: bool,
}

impl Run {
    /// `None` also where the calls of a later run of the source, or its own, were deleted after their time:
    /// then nobody knows whom those have seen.
    async fn find(conn: &mut PgConnection, collection_id: Uuid) -> Result<Option<Self>, sqlx::Error> {
        let row = sqlx::query!(
            r#"
            select c.source, c.created_at, c.hide_confirmed,
                   exists (select from collections l
                           where l.source = c.source and l.created_at >= c.created_at and l.summary is not null)
                       as "calls_deleted!",
                   not c.is_cut and c.since is null and c.state <> 'cancelled'
                   and not exists (select from calls where collection_id = $1 and error_code is not null
                                   and error_code <> all($2))
                   and not exists (select from doubts where collection_id = $1 and code <> $3) as "has_everything!"
            from collections c where id = $1
            "#,
            collection_id,
            &progress::harmless() as &[&str],
            TOO_MANY_MISSING,
        )
        .fetch_optional(&mut *conn)
        .await?;
        let Some(row) = row.filter(|row| !row.calls_deleted) else { return Ok(None) };
        Ok(Some(Self {
            source: source::of_collection(conn, &row.source).await?,
            created_at: row.created_at,
            has_everything: row.has_everything,
            is_confirmed: row.hide_confirmed,
        }))
    }
}

/// The keys of the items that the lists of a source have shown since `at`, in this run and later ones: the
/// next run may have begun long ago, and have seen who has come back.
async fn seen_since(
    conn: &mut PgConnection,
    run: &Run,
    at: DateTime<Utc>,
) -> Result<HashSet<i64>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        r#"
        select unnest(p.item_keys) as "key!" from collections c join calls p on p.collection_id = c.id
        where c.source = $1 and c.created_at >= $2 and p.step = 'list' and p.done_at >= $3
        "#,
        run.source.definition.name,
        run.created_at,
        at,
    );
    Ok(keys.fetch_all(conn).await?.into_iter().collect())
}

/// Whom the feed of the deleted named in a collection.
async fn named_by_feed(conn: &mut PgConnection, collection_id: Uuid) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select distinct person as "person!" from calls c cross join lateral unnest(c.people) as person
        where c.collection_id = $1 and c.step = 'deleted' order by 1
        "#,
        collection_id,
    )
    .fetch_all(conn)
    .await
}

/// The people of a source who are shown and were not seen.
struct Missing {
    /// Their external ids.
    people: Vec<String>,
    /// How many are shown in all.
    shown: u64,
}

/// Walks over the people of a source, in short statements: no snapshot lives for long.
async fn missing(pool: &PgPool, run: &Run, seen: &HashSet<i64>) -> Result<Missing, sqlx::Error> {
    let mut missing = Missing { people: Vec::new(), shown: 0 };
    let mut after = String::new();
    loop {
        let mut conn = pool.acquire().await?;
        let shown =
            resume::shown_after(&mut conn, run.source.id, &after, run.created_at, PEOPLE_AT_ONCE).await?;
        let Some(last) = shown.last else { return Ok(missing) };
        after = last;
        missing.shown += shown.people.len() as u64;
        let is_missing = |(old, id): &(bool, String)| *old && !seen.contains(&key_of(id));
        missing.people.extend(shown.people.into_iter().filter(is_missing).map(|(_, id)| id));
    }
}

/// Hides people, given by their external ids, unless the run has seen them, or an answer has since
/// `looked_at`. Returns how many it has hidden.
async fn hide(
    pool: &PgPool,
    run: &Run,
    people: &[String],
    seen: &HashSet<i64>,
    looked_at: DateTime<Utc>,
) -> Result<u64, sqlx::Error> {
    let mut hidden = 0;
    for part in people.chunks(PEOPLE_AT_ONCE as usize) {
        let mut tx = db::begin(pool).await?;
        resume::hold_sight(&mut tx, run.source.id).await?;
        let lately = seen_since(&mut tx, run, looked_at - STORING_MAX).await?;
        let is_gone = |id: &&str| !seen.contains(&key_of(id)) && !lately.contains(&key_of(id));
        let gone: Vec<&str> = part.iter().map(String::as_str).filter(is_gone).collect();
        hidden += resume::set_hidden(&mut tx, run.source.id, &gone, true).await?;
        tx.commit().await?;
    }
    Ok(hidden)
}

/// Why hiding was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// No collection has this id.
    #[error("there is no collection {0}")]
    Unknown(Uuid),
    /// It holds nobody back, or a later run of its source has ended since.
    #[error("the collection holds nobody back from being hidden")]
    NothingHeldBack,
    /// The job that hides them was not enqueued.
    #[error("enqueueing the hiding failed")]
    Enqueue(#[from] EnqueueError),
    /// The database refused.
    #[error("confirming a hiding failed")]
    Database(#[from] sqlx::Error),
}

/// Confirms that a collection may hide as many people as it would; a [`FinishCollection`] job does it, by
/// [`hide_missing`]. It no longer applies after a later run of the source that was complete. In the caller's
/// transaction; locks the collection.
///
/// # Errors
/// See [`ConfirmError`].
pub async fn confirm_hiding(conn: &mut PgConnection, collection_id: Uuid) -> Result<(), ConfirmError> {
    let row = sqlx::query!(
        r#"
        select c.run, c.finished_at is not null
               and exists (select from doubts where collection_id = $1 and code = $2)
               and not exists (select from collections l
                               where l.source = c.source and l.id > c.id and l.finished_at is not null
                                 and l.state in ('completed', 'completed_with_errors')) as "holds_back!"
        from collections c where id = $1 for update of c
        "#,
        collection_id,
        TOO_MANY_MISSING,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let row = row.ok_or(ConfirmError::Unknown(collection_id))?;
    if !row.holds_back {
        return Err(ConfirmError::NothingHeldBack);
    }
    sqlx::query!("update collections set hide_confirmed = true where id = $1", collection_id)
        .execute(&mut *conn)
        .await?;
    doubts::remove(conn, collection_id, TOO_MANY_MISSING).await?;
    // Without the doubt it may have ended well.
    progress::conclude_again(conn, collection_id).await?;
    enqueue(conn, &FinishCollection { collection_id, run: row.run, sweeps: 0 }).await?;
    Ok(())
}
