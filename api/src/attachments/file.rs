use poem::{IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};
use resume_core::attachment::{File, MEDIA_TYPES};

use super::sha256::Sha256;

/// What a browser may do with a file that it shows all the same: nothing.
const POLICY: &str = "default-src 'none'; sandbox";

const HEADERS: [(&str, &str); 3] = [
    ("ETag", "The SHA-256 of the file, in hexadecimal digits and quotes."),
    ("Content-Disposition", "Says that the file is to be saved, under a name made of its SHA-256."),
    ("Content-Security-Policy", "Keeps a browser that shows the file from running what is in it."),
];

/// A file, of one of the types that are kept.
pub(super) struct FileReply {
    pub(super) file: File,
    pub(super) sha256: Sha256,
}

impl IntoResponse for FileReply {
    fn into_response(self) -> Response {
        let Self { file, sha256 } = self;
        let extension =
            MEDIA_TYPES.iter().find(|(known, _)| *known == file.media_type).map_or("bin", |(_, ext)| ext);
        Response::builder()
            .content_type(file.media_type)
            .header("ETag", format!("\"{sha256}\""))
            .header("Content-Disposition", format!("attachment; filename=\"{sha256}.{extension}\""))
            .header("Content-Security-Policy", POLICY)
            .body(file.bytes)
    }
}

impl ApiResponse for FileReply {
    fn meta() -> MetaResponses {
        let schema = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content =
            MEDIA_TYPES.iter().map(|(content_type, _)| MetaMediaType { content_type, schema: schema() });
        let headers = HEADERS.map(|(name, description)| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: true,
            deprecated: false,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
        });
        let response = MetaResponse {
            description: "The file, byte for byte.",
            status: Some(200),
            status_range: None,
            content: content.collect(),
            headers: headers.into(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}
