use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};

use super::{
    EraseError, Whom,
    erase::{calls_of, documents, find},
};
use crate::{attachment, call, document, resume, source};

/// All that is held about one person, as one JSON value: their ids, every document with its body, failures
/// and attachments, the resume, and the calls that were made for them. Of attachments the names and hashes;
/// the files are to be had by their hashes.
///
/// # Errors
/// [`EraseError::Unknown`], or the database's.
pub async fn export(pool: &PgPool, whom: Whom<'_>) -> Result<Value, EraseError> {
    let mut conn = pool.acquire().await?;
    let (source_id, external_id, person) = find(&mut conn, whom).await?;
    let source = source::name(&mut conn, source_id).await?;
    let held = match &person {
        Some(person) => documents(&mut conn, person).await?,
        None => Vec::new(),
    };
    let calls = call::erase::about(&mut conn, &source, external_id.as_deref(), &calls_of(&held)).await?;
    if person.is_none() && calls.is_empty() {
        return Err(EraseError::Unknown);
    }
    let calls = call::erase::export(&mut conn, &calls).await?;
    let mut bodies = Vec::new();
    for (id, _) in held {
        bodies.extend(exported(pool, &mut conn, id).await?);
    }
    let resume = match &person {
        Some(person) => resume::find(pool, person.id, true).await?,
        None => None,
    };
    Ok(json!({
        "source": source,
        "external_id": external_id,
        "resume_id": person.map(|person| person.id),
        "resume": resume.map(|resume| json!({
            "document_id": resume.document_id,
            "created_at": resume.created_at,
            "updated_at": resume.updated_at,
            "hidden_at": resume.hidden_at,
            "skill_keys": resume.document.skills.iter().map(|skill| &skill.key).collect::<Vec<_>>(),
            "parsed": resume.document,
        })),
        "documents": bodies,
        "calls": calls,
    }))
}

/// A document; `None` when it was deleted meanwhile.
async fn exported(pool: &PgPool, conn: &mut PgConnection, id: i64) -> Result<Option<Value>, sqlx::Error> {
    let (Some(document), Some(body)) = (document::find(pool, id).await?, document::body(pool, id).await?)
    else {
        return Ok(None);
    };
    let attachments = attachment::list(pool, id).await?.into_iter().map(|file| {
        let sha256: String = file.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "place": file.place, "name": file.name, "media_type": file.media_type, "size": file.size,
            "sha256": sha256, "fetched_at": file.fetched_at,
        })
    });
    let mut exported = json!({
        "id": id,
        "collection_id": document.collection_id,
        "collected_at": document.collected_at,
        "updated_at": document.updated_at,
        "state": document.state.as_str(),
        "is_latest": document.is_latest,
        "failures": document::erase::failures_of(conn, id).await?,
        "attachments": attachments.collect::<Vec<_>>(),
    });
    match String::from_utf8(body) {
        Ok(text) => exported["body"] = json!(text),
        Err(_) => exported["body_base64"] = json!(document::erase::base64(conn, id).await?),
    }
    Ok(Some(exported))
}
