use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;

use super::{
    Answer, Answered, Call, NewCall, StoreCallError, StoredAnswer, attachment, deleted, erased,
    follow::{Division, divide},
    keys,
    next::{self, Before, End, Next},
    open,
};
use crate::{
    document::{self, Batch, Origin, Stored},
    erasure,
    progress::{
        self, CollectionState, Pages,
        counts::{self, Counts},
    },
    source::definition::Step,
};

/// Stores an answer: its new items as documents, the call as done, the jobs that parse its items, and what
/// follows, the next page of the list and the calls that its items lead to, with their jobs. All in the
/// caller's transaction, which should also complete the job. An answer that comes after its call was given up
/// is stored all the same.
///
/// Locks the call, resumes that it hides or shows, people whose content has changed, and the collection only
/// where its state changes.
///
/// # Errors
/// See [`StoreCallError`]; roll back on any. After a contention the same answer can be stored again.
pub async fn store(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
    key: Option<&erasure::Key>,
) -> Result<Answered, StoreCallError> {
    let Some(was_failed) = lock(conn, call).await? else { return Ok(Answered::NotPending) };
    let named = deleted::note(conn, call, answer).await?;
    let before = before(conn, call, answer).await?;
    let Division { documents, open: follow, fault, is_cut } = divide(call, answer, before.items);
    let (follow, not_asked) = erased::leave_out(conn, call, key, follow).await?;
    let origin = origin(conn, call, answer).await?;
    let stored = document::store(conn, origin, key, &documents).await?;
    if call.step == Step::Detail && stored.erased > 0 {
        return erased::drop_detail(conn, call, was_failed, stored).await;
    }

    let mut jobs = Vec::new();
    let (next, opened) = open_next(conn, call, answer, before, &mut jobs).await?;
    let opened_behind = open::open_without_jobs(conn, call.run(), &follow, &mut jobs).await?
        + attachment::open(conn, call, answer, &mut jobs).await?;
    let without_job = open_batches(conn, call, &stored, &mut jobs).await?;
    enqueue_all(conn, &jobs).await?;

    let fault = fault
        .or_else(|| without_ids(call, answer))
        .or_else(|| answer.attachments.fault.clone())
        .or_else(|| next.end.error().map(|(code, text)| (code, text.to_owned())));
    let shows_new = next.end != End::Repeats;
    mark_done(conn, call, answer, Marks { stored: &stored, fault, named, shows_new }).await?;
    let is_behind = !call.is_of_first_list();
    let change = Counts {
        opened: opened + opened_behind,
        opened_behind: opened_behind + if is_behind { opened } else { 0 },
        done: 1,
        failed_calls: -i64::from(was_failed),
        made: 1,
        listed: if call.step == Step::List && !call.is_reread() { answer.items.len() as i64 } else { 0 },
        stored: stored.ids.len() as i64,
        // What is read again was counted before.
        unchanged: if call.is_reread() { 0 } else { (stored.unchanged - stored.failed_before.len()) as i64 },
        retried: stored.failed_before.len() as i64,
        erased: stored.erased as i64 + not_asked,
        ..Counts::default()
    };
    counts::add(conn, call.collection_id, change).await?;
    note_collection(conn, call, answer, &next, is_cut).await?;
    Ok(Answered::Stored(StoredAnswer { stored, without_job }))
}

/// Locks a call whose answer is wanted; returns whether it was given up.
pub(super) async fn lock(conn: &mut PgConnection, call: &Call) -> Result<Option<bool>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"
        select state = 'failed' as "was_failed!" from calls
        where id = $1 and state <> 'done'
          and not exists (select from collections where id = $2 and state = 'cancelled')
        for update
        "#,
        call.id,
        call.collection_id,
    )
    .fetch_optional(conn)
    .await
}

/// When the call was made, by the database's clock.
async fn origin(conn: &mut PgConnection, call: &Call, answer: &Answer) -> Result<Origin, sqlx::Error> {
    let collected_at = match answer.called_at {
        Some(at) => at,
        None => sqlx::query_scalar!(r#"select now() as "now!""#).fetch_one(conn).await?,
    };
    Ok(Origin {
        source_id: call.source.id,
        collection_id: call.collection_id,
        call_id: call.id,
        first_document_id: call.first_document_id,
        collected_at,
    })
}

/// What is known of the pages before, as far as it decides what follows.
async fn before(conn: &mut PgConnection, call: &Call, answer: &Answer) -> Result<Before, sqlx::Error> {
    let mut before = Before::default();
    if call.step != Step::List && call.step != Step::Parents && call.step != Step::Deleted {
        return Ok(before);
    }
    let is_told_end = call.is_windowed() && (call.takes_count() || answer.total.is_some());
    if call.step == Step::List && call.count.is_some() && !(call.takes_count() && call.is_windowed()) {
        before.items = counts::sum(conn, call.collection_id).await?.listed;
        if call.is_reread() {
            before.items -= shown_before(conn, call).await?;
        }
    }
    if is_told_end || call.place == 1 || call.is_reread() {
        return Ok(before);
    }
    let near = keys::nearby(conn, call, keys::fingerprint(&answer.items)).await?;
    // An empty page repeats none, though others are empty, too.
    let near =
        if answer.items.is_empty() { Before { repeats: None, repeats_in_row: 0, ..near } } else { near };
    Ok(Before { items: before.items, ..near })
}

/// How many items a page that is read again showed at first, which are counted: whom it shows in place of
/// them has their room.
async fn shown_before(conn: &mut PgConnection, call: &Call) -> Result<i64, sqlx::Error> {
    let shown = sqlx::query_scalar!(
        r#"
        select coalesce(max(items), 0)::bigint as "items!" from calls
        where collection_id = $1 and step = $2 and parent = $3 and item = '' and place = $4 and reading = 1
        "#,
        call.collection_id,
        call.step as Step,
        call.parent(),
        call.place,
    );
    shown.fetch_one(conn).await
}

/// Lets new documents wait to be parsed, and adds the jobs that do it to `jobs`. The document of a single
/// detail has no job of its own.
async fn open_batches(
    conn: &mut PgConnection,
    call: &Call,
    stored: &Stored,
    jobs: &mut Vec<NewJob>,
) -> Result<Vec<Batch>, EnqueueError> {
    let mut batches = document::ranges_of(&stored.ids, call.batch_size);
    batches.extend(document::ranges_of(&stored.failed_before, call.batch_size));
    document::open_batches(conn, call.collection_id, &batches).await?;
    if call.step == Step::Detail {
        return Ok(batches);
    }
    jobs.extend(document::parsing_jobs(call.collection_id, call.group, &batches, call.batch_size)?);
    Ok(Vec::new())
}

/// Opens the pages that this one makes room for (numbered) or leads to (the others), and adds their jobs to
/// `jobs`; returns how many.
async fn open_next(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
    before: Before,
    jobs: &mut Vec<NewJob>,
) -> Result<(Next, i64), EnqueueError> {
    if call.is_reread() || matches!(call.step, Step::Detail | Step::Attachment | Step::Known) {
        return Ok((Next::ending(call.place, End::Last), 0));
    }
    let mut next = next::after(call, answer, before);
    let pages: Vec<NewCall> = std::mem::take(&mut next.open)
        .into_iter()
        .map(|(place, link)| NewCall {
            reading: call.reading,
            ..NewCall::page(call.step, call.parent(), place, link)
        })
        .collect();
    let is_link = pages.iter().any(|page| page.link.is_some());
    let opened = open::open_without_jobs(conn, call.run(), &pages, jobs).await?;
    if is_link && opened == 0 {
        next = Next::ending(call.place, End::Loop);
    }
    Ok((next, opened))
}

/// What is wrong with items without an id, where it is by their ids that people are hidden: nobody knows who
/// they are.
fn without_ids(call: &Call, answer: &Answer) -> Option<(&'static str, String)> {
    let list = &call.source.definition.list;
    let is_by_ids = call.step == Step::Deleted || call.step == Step::List && list.hides_missing();
    let count = answer.items.iter().filter(|item| item.external_id.is_none()).count();
    let all = answer.items.len();
    (is_by_ids && count > 0).then(|| {
        let text = format!(
            "{count} of {all} items have no id that can be read: this run hides nobody for being missing"
        );
        ("item_id_missing", text)
    })
}

/// What is noted of a call that is done.
struct Marks<'a> {
    stored: &'a Stored,
    fault: Option<(&'static str, String)>,
    /// Those whom a page of the feed of the deleted names.
    named: Option<Vec<i64>>,
    shows_new: bool,
}

async fn mark_done(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
    marks: Marks<'_>,
) -> Result<(), sqlx::Error> {
    let (error_code, error) = marks.fault.unzip();
    let keys = Some(keys::of_answer(call, answer)).filter(|keys| marks.shows_new && !keys.is_empty());
    let is_list = matches!(call.step, Step::List | Step::Parents | Step::Deleted);
    let fingerprint = is_list.then(|| keys::fingerprint(&answer.items));
    sqlx::query!(
        r#"
        update calls
        set state = 'done', done_at = now(), made = made + 1, error_code = $2, error = $3, items = $4, total = $5,
            fingerprint = $6, item_keys = $7, people = $8, first_document_id = $9, last_document_id = $10
        where id = $1
        "#,
        call.id,
        error_code,
        error,
        answer.items.len() as i32,
        next::credible_total(call, answer).map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
        fingerprint,
        keys.as_deref(),
        marks.named.as_deref(),
        marks.stored.ids.iter().min(),
        marks.stored.ids.iter().max(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes in the collection what has changed for all of it, if anything has: its state, how many pages there
/// are, and that it was cut. Most answers change nothing, and nobody waits for its row.
async fn note_collection(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
    next: &Next,
    is_cut: bool,
) -> Result<(), sqlx::Error> {
    let is_first = call.is_of_first_list() && !call.is_reread();
    let pages = match next.last_page.filter(|_| is_first) {
        Some(last) if call.is_windowed() => Pages::AtMost(last),
        Some(last) => Pages::Exactly(last),
        None if is_first && call.step == Step::List => {
            pages_announced(call, answer).map_or(Pages::Unknown, Pages::AtMost)
        }
        None => Pages::Unknown,
    };
    let tells_pages = match pages {
        Pages::Unknown => false,
        Pages::AtMost(last) => call.pages_expected.is_none_or(|known| last < known),
        Pages::Exactly(last) => call.pages_expected != Some(last),
    };
    let is_cut = is_cut || next.is_cut;
    let has_woken = matches!(call.state, CollectionState::Pending | CollectionState::WaitingForSource);
    if !tells_pages && !is_cut && !has_woken && call.has_started {
        return Ok(());
    }
    progress::note_answer(conn, call.collection_id, pages, is_cut).await
}

/// How many pages a chain that goes on has, if all are like this one: for people only, the chain ends where
/// it ends.
fn pages_announced(call: &Call, answer: &Answer) -> Option<i32> {
    let total = answer.total.filter(|_| answer.next.is_some())?;
    let items = total.min(call.values.count.unwrap_or(u64::MAX));
    let pages = items.div_ceil((answer.items.len() as u64).max(1));
    i32::try_from(pages).ok().filter(|_| !answer.items.is_empty())
}

/// Closes a call that is [not wanted](super::Found::NotWanted) any more, without making it. In the caller's
/// transaction, which should also complete the job. Changes nothing when it is not pending.
///
/// # Errors
/// The database's; roll back.
pub async fn skip(conn: &mut PgConnection, call: &Call) -> Result<(), sqlx::Error> {
    let closed = sqlx::query!(
        "update calls set state = 'done', error_code = null, error = null where id = $1 and state = 'pending'",
        call.id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if closed == 0 {
        return Ok(());
    }
    counts::add(conn, call.collection_id, Counts { done: 1, ..Counts::default() }).await?;
    progress::note_answer(conn, call.collection_id, Pages::Unknown, true).await
}
