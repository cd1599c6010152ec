use chrono::{DateTime, Utc};
use sqlx::types::Json;

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

/// A resume as its row has it: what stands in other columns, the external id and the keys of the skills, is
/// not in the document.
pub(super) struct StoredResume {
    pub(super) id: i64,
    pub(super) source: String,
    pub(super) external_id: String,
    pub(super) document_id: i64,
    pub(super) parser_version: i32,
    pub(super) document: Json<ParsedResume>,
    pub(super) skills: Vec<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) hidden_at: Option<DateTime<Utc>>,
}

impl From<StoredResume> for Resume {
    fn from(row: StoredResume) -> Self {
        let Json(mut document) = row.document;
        document.external_id.clone_from(&row.external_id);
        for (skill, key) in document.skills.iter_mut().zip(row.skills) {
            skill.key = key;
        }
        Self {
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
    }
}
