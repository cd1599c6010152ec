use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use poem::{Body, Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};
use serde_json::Value;

use crate::{
    fields::Fields,
    problem::{Problem, ProblemType},
};

/// The largest body that is read. Requests of ours have some hundred bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How much of a larger body is read and thrown away, so that the caller, who is still sending, can hear the
/// reply.
const DRAIN_BYTES: usize = 16 * 1024 * 1024;

/// What a JSON body holds. The type's schema goes into the description of the operation.
pub(crate) trait ReadFields: Type + Sized {
    /// Takes what it knows out of the fields. What is wrong is noted there.
    fn read(fields: &mut Fields) -> Self;
}

/// A JSON body. An empty body stands for an object without fields, whatever its media type.
///
/// Instead of poem's `Json`, whose errors do not name the field.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<'a, T: ReadFields> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = MetaMediaType { content_type: "application/json", schema: T::schema_ref() };
        Some(MetaRequest { description: None, content: vec![content], required: false })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let bytes = read(body.take()?).await?;
        let bytes = without_byte_order_mark(&bytes);
        let value = if bytes.is_empty() { Value::Object(Default::default()) } else { json(request, bytes)? };
        let mut fields = Fields::of(value)?;
        let read = T::read(&mut fields);
        fields.finish()?;
        Ok(Self(read))
    }
}

fn json(request: &Request, bytes: &[u8]) -> Result<Value, Problem> {
    if media_type(request).as_deref() != Some("application/json") {
        let detail = "send the body as application/json, without a content encoding";
        return Err(Problem::new(ProblemType::UnsupportedMediaType, detail));
    }
    serde_json::from_slice(bytes)
        .map_err(|e| Problem::new(ProblemType::MalformedBody, format!("the body is not JSON: {e}")))
}

/// Some clients begin with a byte order mark, which RFC 8259, section 8.1, lets us skip.
pub(crate) fn without_byte_order_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// The media type of a request, in lower case and without parameters; `None` when there is none, or the body
/// has a content encoding, which we do not undo.
pub(crate) fn media_type(request: &Request) -> Option<String> {
    let is_plain = request.header(header::CONTENT_ENCODING).unwrap_or("identity") == "identity";
    let name = request.content_type().filter(|_| is_plain)?.split(';').next()?;
    Some(name.trim().to_ascii_lowercase())
}

/// Reads a whole body, counting: not every request announces its length.
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    let mut stream = Box::pin(body.into_bytes_stream());
    let mut bytes = BytesMut::new();
    let mut size_bytes = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::new(ProblemType::MalformedBody, "the body broke off"))?;
        size_bytes += chunk.len();
        if size_bytes <= MAX_BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if size_bytes > DRAIN_BYTES {
            break;
        }
    }
    if size_bytes > MAX_BODY_BYTES {
        let detail = format!("the body has more than {MAX_BODY_BYTES} bytes");
        return Err(Problem::new(ProblemType::BodyTooLarge, detail));
    }
    Ok(bytes.freeze())
}
