use resume_queue::{EnqueueError, NewJob, enqueue_all};
use sqlx::PgConnection;

use super::{Attached, Run};
use crate::{jobs::MakeCall, source::definition::Step};

/// A call that is about to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewCall {
    pub(crate) step: Step,
    pub(crate) place: i32,
    pub(crate) reading: i32,
    pub(crate) parent: String,
    pub(crate) item: String,
    pub(crate) link: Option<String>,
    /// Of an attachment.
    pub(crate) attached: Option<Attached>,
}

impl NewCall {
    /// The page at a place of a list.
    pub(crate) fn page(step: Step, parent: &str, place: i32, link: Option<String>) -> Self {
        Self { step, place, reading: 1, parent: parent.to_owned(), item: String::new(), link, attached: None }
    }

    /// The detail of an item.
    pub(crate) fn detail(parent: &str, item: String) -> Self {
        Self { item, ..Self::page(Step::Detail, parent, 1, None) }
    }
}

/// Opens calls that are not there yet, with a job each; returns how many, which the caller counts. The
/// concurrency key of the jobs is the source: a limit for each key lets no source take all that the queue may
/// run.
///
/// In the caller's transaction, one statement and one for the jobs. Waits for a concurrent transaction that
/// opens the same call.
///
/// # Errors
/// See [`EnqueueError`].
pub(crate) async fn open(
    conn: &mut PgConnection,
    run: Run<'_>,
    calls: &[NewCall],
) -> Result<i64, EnqueueError> {
    let mut jobs = Vec::new();
    let opened = open_without_jobs(conn, run, calls, &mut jobs).await?;
    enqueue_all(conn, &jobs).await?;
    Ok(opened)
}

/// As [`open`], but adds the jobs to `jobs`, for a caller that enqueues them with others.
pub(super) async fn open_without_jobs(
    conn: &mut PgConnection,
    run: Run<'_>,
    calls: &[NewCall],
    jobs: &mut Vec<NewJob>,
) -> Result<i64, EnqueueError> {
    if calls.is_empty() {
        return Ok(0);
    }
    let ids = insert(conn, run, calls).await?;
    jobs.extend(jobs_of(run, &ids)?);
    Ok(ids.len() as i64)
}

async fn insert(conn: &mut PgConnection, run: Run<'_>, calls: &[NewCall]) -> Result<Vec<i64>, sqlx::Error> {
    let steps: Vec<Step> = calls.iter().map(|call| call.step).collect();
    let places: Vec<i32> = calls.iter().map(|call| call.place).collect();
    let readings: Vec<i32> = calls.iter().map(|call| call.reading).collect();
    let parents: Vec<&str> = calls.iter().map(|call| call.parent.as_str()).collect();
    let items: Vec<&str> = calls.iter().map(|call| call.item.as_str()).collect();
    let links: Vec<Option<&str>> = calls.iter().map(|call| call.link.as_deref()).collect();
    let attached = |f: fn(&Attached) -> i64| -> Vec<Option<i64>> {
        calls.iter().map(|call| call.attached.as_ref().map(f)).collect()
    };
    let (documents, origins) = (attached(|of| of.document_id), attached(|of| of.origin));
    let names: Vec<Option<&str>> =
        calls.iter().map(|call| Some(call.attached.as_ref()?.name.as_str())).collect();
    sqlx::query_scalar!(
        r#"
        insert into calls
            (collection_id, step, place, reading, parent, item, link, document_id, origin, name)
        select $1, step, place, reading, parent, item, link, document_id, origin, name
        from unnest($2::call_step[], $3::integer[], $4::integer[], $5::text[], $6::text[], $7::text[],
                    $8::bigint[], $9::bigint[], $10::text[])
            as c (step, place, reading, parent, item, link, document_id, origin, name)
        -- In one order for all: two answers may lead to the same calls.
        order by step, parent, item, place
        on conflict do nothing
        returning id
        "#,
        run.collection_id,
        &steps as &[Step],
        &places,
        &readings,
        &parents as &[&str],
        &items as &[&str],
        &links as &[Option<&str>],
        &documents as &[Option<i64>],
        &origins as &[Option<i64>],
        &names as &[Option<&str>],
    )
    .fetch_all(conn)
    .await
}

/// Enqueues the jobs of calls that are there and pending, in this order.
///
/// # Errors
/// See [`EnqueueError`].
pub(crate) async fn enqueue_calls(
    conn: &mut PgConnection,
    run: Run<'_>,
    ids: &[i64],
) -> Result<(), EnqueueError> {
    enqueue_all(conn, &jobs_of(run, ids)?).await?;
    Ok(())
}

fn jobs_of(run: Run<'_>, ids: &[i64]) -> Result<Vec<NewJob>, EnqueueError> {
    let job = |&call_id: &i64| {
        let job = NewJob::new(&MakeCall { collection_id: run.collection_id, call_id })?;
        Ok(job.group(run.group).concurrency_key(run.source))
    };
    ids.iter().map(job).collect()
}
