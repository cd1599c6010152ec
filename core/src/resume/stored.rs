use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};

use crate::parsing::ParsedResume;

/// A resume.
#[derive(Debug, Clone, PartialEq)]
pub struct Resume {
    /// Its number, which stays when the person is collected again.
    pub id: i64,
    /// The source it came from.
    pub source: String,
    /// The id that the source gave the person.
    pub external_id: String,
    /// The document that it was parsed from last.
    pub document_id: i64,
    /// The version of the parser that made it.
    pub parser_version: i32,
    /// What the parser made of it.
    pub document: ParsedResume,
    /// When it was first stored.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was noticed that its source no longer lists the person, or has deleted them; searches do not
    /// find it then.
    pub hidden_at: Option<DateTime<Utc>>,
}

/// Those of these resumes that are there, in the order of the ids given.
pub(super) async fn load(conn: &mut PgConnection, ids: &[i64]) -> Result<Vec<Resume>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        select r.person_id as id, s.name as source, p.external_id as "external_id!", r.document_id,
               r.parser_version, r.document as "document: Json<ParsedResume>", r.skills, r.created_at,
               r.updated_at, r.hidden_at
        from unnest($1::bigint[]) with ordinality as i (id, place)
        join resumes r on r.person_id = i.id
        join people p on p.id = r.person_id
        join sources s on s.id = p.source_id
        order by i.place
        "#,
        ids,
    );
    let resumes = rows.fetch_all(conn).await?.into_iter().map(|row| {
        // What stands in other columns, the external id and the keys of the skills, is not in the document.
        let Json(mut document) = row.document;
        document.external_id.clone_from(&row.external_id);
        for (skill, key) in document.skills.iter_mut().zip(row.skills) {
            skill.key = key;
        }
        Resume {
            id: row.id,
            source: row.source,
            external_id: row.external_id,
            document_id: row.document_id,
            parser_version: row.parser_version,
            document,
            created_at: row.created_at,
            updated_at: row.updated_at,
            hidden_at: row.hidden_at,
        }
    });
    Ok(resumes.collect())
}
