//! Attachments: each takes a call of its own, to an address that an item has given. An address that has
//! expired is asked for again, once, by the call that had brought it; that gives fresh ones for all that the
//! same answer had named.

use std::collections::HashMap;

use resume_queue::{EnqueueError, NewJob};
use sqlx::PgConnection;

use super::{Answer, Attached, Call, NewCall, open as calls};
use crate::{
    attachment::{self, Finder, Link, NewAttachment},
    document::{self, NewDocument},
    progress::counts::{self, Counts},
    source::definition::Step,
};

/// The attachments of the items of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundAttachments {
    /// Each with the external id of its item.
    links: Vec<(String, Link)>,
    /// The code and the text of what is wrong with others.
    pub(super) fault: Option<(&'static str, String)>,
}

impl FoundAttachments {
    /// Finds the attachments of items; one that has no id is not known again, and has none, as has one that
    /// was deleted. Pure work, about as much as parsing.
    pub fn of(finder: &Finder, items: &[NewDocument]) -> Self {
        let mut all = Self::default();
        for item in items.iter().filter(|item| !item.is_deleted) {
            let Some(id) = &item.external_id else { continue };
            let found = finder.find(&item.body);
            all.links.extend(found.links.into_iter().map(|link| (id.clone(), link)));
            all.fault = all.fault.or(found.fault);
        }
        all
    }
}

/// Opens a call for each attachment of an answer's items that is not there yet, and adds its job to `jobs`;
/// returns how many. The items are stored before.
pub(super) async fn open(
    conn: &mut PgConnection,
    call: &Call,
    answer: &Answer,
    jobs: &mut Vec<NewJob>,
) -> Result<i64, EnqueueError> {
    let links = &answer.attachments.links;
    if links.is_empty() {
        return Ok(0);
    }
    let ids: Vec<&str> = links.iter().map(|(id, _)| id.as_str()).collect();
    let known = document::known(conn, call.source.id, &ids).await?.into_iter();
    let latest: HashMap<String, i64> =
        known.filter_map(|person| Some((person.external_id?, person.document_id))).collect();
    let documents: Vec<i64> = latest.values().copied().collect();
    let kept = attachment::kept(conn, &documents).await?;
    let missing: Vec<NewCall> = links
        .iter()
        .filter_map(|(id, link)| {
            let &document_id = latest.get(id)?;
            (!kept.contains(&(document_id, link.place))).then(|| NewCall {
                step: Step::Attachment,
                place: link.place,
                reading: 1,
                parent: call.parent().to_owned(),
                item: id.clone(),
                link: Some(link.url.clone()),
                attached: Some(Attached { document_id, origin: call.id, name: link.name.clone() }),
            })
        })
        .collect();
    if missing.is_empty() {
        return Ok(0);
    }
    renew(conn, call, links, call.id).await?;
    calls::open_without_jobs(conn, call.run(), &missing, jobs).await
}

/// Replaces the addresses of attachments that are not stored yet with those that an answer of the call
/// `origin` has just given, since the old ones may have expired. Returns the calls of these attachments, and
/// locks them in the order of their numbers.
async fn renew(
    conn: &mut PgConnection,
    call: &Call,
    links: &[(String, Link)],
    origin: i64,
) -> Result<Vec<i64>, sqlx::Error> {
    let items: Vec<&str> = links.iter().map(|(id, _)| id.as_str()).collect();
    let places: Vec<i32> = links.iter().map(|(_, link)| link.place).collect();
    let urls: Vec<&str> = links.iter().map(|(_, link)| link.url.as_str()).collect();
    sqlx::query_scalar!(
        r#"
        with held as materialized (
            select c.id, a.link
            from unnest($4::text[], $5::integer[], $6::text[]) as a (item, place, link)
            join calls c on c.collection_id = $1 and c.step = 'attachment' and c.parent = $2 and c.item = a.item
                        and c.place = a.place
            where c.state <> 'done'
            order by c.id for update of c
        )
        update calls c set link = held.link, origin = $3 from held where c.id = held.id
        returning c.id
        "#,
        call.collection_id,
        call.parent(),
        origin,
        &items as &[&str],
        &places,
        &urls as &[&str],
    )
    .fetch_all(conn)
    .await
}

/// Stores the file of an attachment, and its call as done: for the document that had named it, and for those
/// that the person has been given since. In the caller's transaction, which should also complete the job;
/// locks the call. Returns false, and changes nothing, when the call is not pending any more.
///
/// # Errors
/// The database's; roll back.
pub async fn store_attachment(
    conn: &mut PgConnection,
    call: &Call,
    file: &NewAttachment,
) -> Result<bool, sqlx::Error> {
    let closed = sqlx::query!(
        r#"
        update calls set state = 'done', made = made + 1, done_at = now(), error_code = null, error = null
        where id = $1 and state = 'pending'
          and not exists (select from collections where id = $2 and state = 'cancelled')
        "#,
        call.id,
        call.collection_id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    let Some(Attached { document_id, name, .. }) = &call.attached else { return Ok(false) };
    if closed == 0 {
        return Ok(false);
    }
    for document_id in document::current_beside(conn, *document_id).await? {
        attachment::store(conn, document_id, call.place, name, file).await?;
    }
    let change = Counts { done: 1, made: 1, ..Counts::default() };
    counts::add(conn, call.collection_id, change).await?;
    Ok(true)
}

/// Notes that the address of an attachment has expired, and counts the call that showed it: the next one asks
/// for a fresh address. Returns false, and changes nothing, when that was done before: then it is gone. Locks
/// the call for a moment.
///
/// # Errors
/// The database's.
pub async fn expire_attachment(conn: &mut PgConnection, call: &Call) -> Result<bool, sqlx::Error> {
    let expired = sqlx::query!(
        r#"
        update calls set link = null, is_refreshed = true, made = made + 1
        where id = $1 and state = 'pending' and not is_refreshed
        "#,
        call.id,
    )
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if expired > 0 {
        counts::add(conn, call.collection_id, Counts { made: 1, ..Counts::default() }).await?;
    }
    Ok(expired > 0)
}

/// Takes the fresh addresses from an answer of the call that had brought an attachment's address, for all
/// attachments of its items that are still to be fetched, or failed, and counts the call. Stores nothing else
/// of the answer. Returns false, and counts nothing, where the item or the attachment is not there any more.
/// Locks the calls of those attachments.
///
/// # Errors
/// The database's; roll back.
pub async fn refresh_attachments(
    conn: &mut PgConnection,
    call: &Call,
    found: &FoundAttachments,
) -> Result<bool, sqlx::Error> {
    let Some(Attached { origin, .. }) = call.attached else { return Ok(false) };
    if !renew(conn, call, &found.links, origin).await?.contains(&call.id) {
        return Ok(false);
    }
    sqlx::query!("update calls set made = made + 1 where id = $1", call.id).execute(&mut *conn).await?;
    counts::add(conn, call.collection_id, Counts { made: 1, ..Counts::default() }).await?;
    Ok(true)
}
