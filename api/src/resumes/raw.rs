use chrono::SecondsFormat;
use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaSchema, MetaSchemaRef},
};
use resume_core::raw::RawDocument;

/// A raw document.
#[derive(ApiResponse)]
pub(super) enum RawReply {
    /// The document, byte for byte.
    #[oai(status = 200)]
    Document(
        Verbatim,
        /// The SHA-256 of the document, in hexadecimal digits and quotes.
        #[oai(header = "ETag")]
        String,
        /// The number of the raw document.
        #[oai(header = "X-Raw-Document-Id")]
        i64,
        /// The name of the source.
        #[oai(header = "X-Source")]
        String,
        /// The collection that brought it.
        #[oai(header = "X-Data-Request-Id")]
        String,
        /// The page it came with, from 1.
        #[oai(header = "X-Page")]
        i32,
        /// Its place on the page, from 1.
        #[oai(header = "X-Position")]
        i32,
        /// When it was stored, after RFC 3339.
        #[oai(header = "X-Collected-At")]
        String,
    ),
}

impl From<RawDocument> for RawReply {
    fn from(document: RawDocument) -> Self {
        let hash: String = document.content_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::Document(
            Verbatim(document.body),
            format!("\"{hash}\""),
            document.id,
            document.source,
            document.collection_id.to_string(),
            document.page,
            document.position,
            document.collected_at.to_rfc3339_opts(SecondsFormat::Micros, true),
        )
    }
}

/// JSON that is passed on as it came.
pub(super) struct Verbatim(Vec<u8>);

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
