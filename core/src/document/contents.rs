//! People whom one run lists more than once, with different bytes: under two positions, each with a stage of
//! its own. Without more they would have a new document each run, and the resume would change from one to the
//! other.
//!
//! Every content that a run has listed stays current until a complete run no longer lists it.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{NewDocument, person::Person};

/// A content that a run has listed.
#[derive(Debug)]
pub(super) struct Seen {
    person_id: i64,
    content_hash: Uuid,
    /// The content that the person had, which is current beside this one; and its document.
    beside: Option<(Uuid, i64)>,
}

impl Seen {
    /// A content that is current already.
    pub(super) fn again(person: &Person, item: &NewDocument) -> Self {
        Self { person_id: person.id, content_hash: item.content_hash, beside: None }
    }

    /// A content that has just been stored beside the one that the person had.
    pub(super) fn first(person: &Person, item: &NewDocument) -> Self {
        let beside = Some((person.content_hash, person.document_id));
        Self { person_id: person.id, content_hash: item.content_hash, beside }
    }
}

/// Notes contents that a collection has listed. Locks their rows, in the order of their people.
pub(super) async fn note(
    conn: &mut PgConnection,
    collection_id: Uuid,
    seen: &[Seen],
) -> Result<(), sqlx::Error> {
    if seen.is_empty() {
        return Ok(());
    }
    let people: Vec<i64> = seen.iter().map(|seen| seen.person_id).collect();
    let hashes: Vec<Uuid> = seen.iter().map(|seen| seen.content_hash).collect();
    let beside: Vec<Option<Uuid>> = seen.iter().map(|seen| seen.beside.map(|(hash, _)| hash)).collect();
    let documents: Vec<Option<i64>> =
        seen.iter().map(|seen| seen.beside.map(|(_, document)| document)).collect();
    sqlx::query!(
        r#"
        with seen as (
            select * from unnest($2::bigint[], $3::uuid[], $4::uuid[], $5::bigint[])
                as s (person_id, content_hash, beside, beside_document_id)
        ), listed as (
            -- What was just stored is the person's latest document; what was known has its row.
            select s.person_id, s.content_hash, p.document_id from seen s join people p on p.id = s.person_id
            where p.content_hash = s.content_hash
            union
            select c.person_id, c.content_hash, c.document_id from seen s
            join person_contents c on c.person_id = s.person_id and c.content_hash = s.content_hash
            union
            select person_id, beside, beside_document_id from seen where beside is not null
        )
        insert into person_contents (person_id, content_hash, document_id, seen_in)
        select distinct on (person_id, content_hash) person_id, content_hash, document_id, $1 from listed
        order by person_id, content_hash, document_id desc
        on conflict (person_id, content_hash) do update set seen_in = excluded.seen_in
        where person_contents.seen_in <> excluded.seen_in
        "#,
        collection_id,
        &people,
        &hashes,
        &beside as &[Option<Uuid>],
        &documents as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Drops the contents of a source's people that a complete run has not listed. A person who is shown with one
/// of those is given the latest that was listed, as a new document. Returns the new documents, which are to
/// be parsed.
///
/// In the caller's transaction; locks those people.
///
/// # Errors
/// The database's.
pub(crate) async fn restore_listed(
    conn: &mut PgConnection,
    source_id: i32,
    collection_id: Uuid,
) -> Result<Vec<i64>, sqlx::Error> {
    let gone = sqlx::query!(
        r#"
        delete from person_contents c using people p
        where p.id = c.person_id and p.source_id = $1 and c.seen_in <> $2
          and exists (select from person_contents o where o.person_id = c.person_id and o.seen_in = $2)
        returning p.id, c.document_id = p.document_id as "is_shown!"
        "#,
        source_id,
        collection_id,
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut shown: HashMap<i64, bool> = HashMap::new();
    for row in gone {
        *shown.entry(row.id).or_default() |= row.is_shown;
    }
    let people: Vec<i64> = shown.keys().copied().collect();
    let changed: Vec<i64> = shown.into_iter().filter_map(|(id, is_shown)| is_shown.then_some(id)).collect();
    let restored = sqlx::query_scalar!(
        r#"
        with latest as (
            select distinct on (c.person_id) c.person_id, d.call_id, d.updated_at, d.content_hash, d.position, d.body,
                   p.document_id as superseded
            from person_contents c join people p on p.id = c.person_id join raw_documents d on d.id = c.document_id
            where c.person_id = any($1) order by c.person_id, c.document_id desc
        ), new as materialized (
            select nextval('document_ids') as new_id, * from latest
        ), stored as (
            insert into raw_documents (id, person_id, call_id, supersedes, collected_at, updated_at, content_hash, position, body)
            select new_id, n.person_id, call_id, superseded, now(), updated_at, content_hash, position, body from new n
        ), noted as (
            update person_contents c set document_id = n.new_id from new n
            where c.person_id = n.person_id and c.content_hash = n.content_hash
        )
        update people p set document_id = n.new_id, content_hash = n.content_hash from new n
        where p.id = n.person_id
        returning n.new_id as "id!"
        "#,
        &changed,
    )
    .fetch_all(&mut *conn)
    .await?;
    // Who has one content left is as everybody else.
    sqlx::query!(
        r#"
        delete from person_contents c
        where c.person_id = any($1)
          and (select count(*) from person_contents o where o.person_id = c.person_id) = 1
        "#,
        &people,
    )
    .execute(conn)
    .await?;
    Ok(restored)
}
