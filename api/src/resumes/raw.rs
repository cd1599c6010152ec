use chrono::SecondsFormat;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaSchema, MetaSchemaRef},
};
use resume_core::document::Document;
use sha2::{Digest, Sha256};

/// A raw document.
#[derive(ApiResponse)]
pub(crate) enum RawReply {
    /// The document, byte for byte.
    #[oai(status = 200)]
    Document(
        Verbatim,
        /// The SHA-256 of the document, in hexadecimal digits and quotes.
        #[oai(header = "ETag")]
        String,
        /// The number of the document.
        #[oai(header = "X-Raw-Document-Id")]
        i64,
        /// The name of the source.
        #[oai(header = "X-Source")]
        String,
        /// The collection that brought it; none when its call was erased.
        #[oai(header = "X-Data-Request-Id")]
        Option<String>,
        /// The page it came with, from 1; none when its call was erased.
        #[oai(header = "X-Page")]
        Option<i32>,
        /// Its place on the page, from 1.
        #[oai(header = "X-Position")]
        i32,
        /// When it was collected, after RFC 3339.
        #[oai(header = "X-Collected-At")]
        String,
    ),
    /// The caller has a copy of it.
    #[oai(status = 304)]
    NotModified(
        /// The SHA-256 of the document, in hexadecimal digits and quotes.
        #[oai(header = "ETag")]
        String,
    ),
}

impl RawReply {
    /// The document, or word that the caller's copy of it, with one of these tags, is as good.
    pub(crate) fn new(document: Document, body: Vec<u8>, if_none_match: Option<&str>) -> Self {
        let hash: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("\"{hash}\"");
        // RFC 9110, 13.1.2: weak comparison, so that `W/` before a tag says nothing.
        let has_copy = if_none_match.is_some_and(|tags| {
            tags.split(',')
                .map(|tag| tag.trim().trim_start_matches("W/"))
                .any(|known| known == "*" || known == tag)
        });
        if has_copy {
            return Self::NotModified(tag);
        }
        Self::Document(
            Verbatim(body),
            tag,
            document.id,
            document.source,
            document.collection_id.map(|id| id.to_string()),
            document.page,
            document.position,
            document.collected_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        )
    }
}

/// JSON that is passed on as it came.
pub(crate) struct Verbatim(Vec<u8>);

impl Payload for Verbatim {
    const CONTENT_TYPE: &'static str = "application/json";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("object")))
    }
}

impl IntoResponse for Verbatim {
    fn into_response(self) -> Response {
        Response::builder().content_type(Self::CONTENT_TYPE).body(self.0)
    }
}
