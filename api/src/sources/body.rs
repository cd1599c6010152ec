use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest},
    types::{Any, Type},
};
use resume_core::source::definition::Definition;
use serde_json::Value;

use crate::{
    body,
    problem::{Problem, ProblemType},
};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// The definition of a source, as JSON or YAML.
pub(super) struct DefinitionBody(pub(super) Definition);

fn not_json(error: serde_json::Error) -> Problem {
    Problem::new(ProblemType::MalformedBody, format!("the body is not JSON: {error}"))
}

impl<'a> ApiExtractor<'a> for DefinitionBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let content = |content_type| MetaMediaType { content_type, schema: <Any<Value>>::schema_ref() };
        Some(MetaRequest { description: None, content: vec![content(JSON), content(YAML)], required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let media_type = body::media_type(request);
        let bytes = body::read(body.take()?).await?;
        let text = std::str::from_utf8(body::without_byte_order_mark(&bytes))
            .map_err(|e| Problem::new(ProblemType::MalformedBody, format!("the body is not UTF-8: {e}")))?;
        let read = match media_type.as_deref() {
            Some(JSON) => {
                let value: Value = serde_json::from_str(text).map_err(not_json)?;
                Definition::from_json(&value)
            }
            Some(YAML | "application/x-yaml" | "text/yaml") => Definition::from_yaml(text),
            _ => {
                let detail = format!("send the body as {JSON} or {YAML}, without a content encoding");
                return Err(Problem::new(ProblemType::UnsupportedMediaType, detail).into());
            }
        };
        Ok(Self(read.map_err(Problem::from)?))
    }
}
