use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Object, types::Example};
use resume_core::attachment;

/// The attachments of a resume.
#[derive(Debug, Object)]
#[oai(rename = "Attachments", example)]
pub(super) struct AttachmentsReply {
    /// Each of them, in the order of the source.
    results: Vec<Attachment>,
}

/// A file.
#[derive(Debug, Object)]
#[oai(example)]
struct Attachment {
    /// Its name, as the source has it.
    name: String,
    /// What it is, by its first bytes.
    media_type: String,
    /// How many bytes it has.
    size: i32,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    sha256: String,
    /// Where to get it.
    url: String,
    /// When it was fetched.
    fetched_at: DateTime<Utc>,
}

impl From<Vec<attachment::Attachment>> for AttachmentsReply {
    fn from(found: Vec<attachment::Attachment>) -> Self {
        Self { results: found.into_iter().map(Attachment::from).collect() }
    }
}

impl From<attachment::Attachment> for Attachment {
    fn from(found: attachment::Attachment) -> Self {
        let sha256: String = found.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            name: found.name,
            media_type: found.media_type,
            size: found.size,
            url: format!("/api/v1/attachments/{sha256}"),
            sha256,
            fetched_at: found.fetched_at,
        }
    }
}

impl Example for AttachmentsReply {
    fn example() -> Self {
        Self { results: vec![Attachment::example()] }
    }
}

impl Example for Attachment {
    fn example() -> Self {
        Self::from(attachment::Attachment {
            place: 1,
            name: "resume.pdf".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 48_213,
            sha256: (0..32).collect(),
            fetched_at: Utc.timestamp_nanos(1_795_446_000_000_000_000),
        })
    }
}
