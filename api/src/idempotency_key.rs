use poem::{Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaParamIn, MetaSchema, MetaSchemaRef},
};

use crate::problem::Problem;

const NAME: &str = "Idempotency-Key";

/// The longest key; a UUID has 36.
const MAX_CHARS: usize = 255;

/// The header `Idempotency-Key`, if there is one (draft-ietf-httpapi-idempotency-key-header).
///
/// Instead of poem's `Header`, which passes over a value that is not ASCII as if there were none: a request
/// that asked to be done once would be done twice.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

impl<'a> ApiExtractor<'a> for IdempotencyKey {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(MAX_CHARS),
            pattern: Some("^[!-~]+$".to_owned()),
            ..MetaSchema::new("string")
        })))
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<String>,
    ) -> poem::Result<Self> {
        let mut values = request.headers().get_all(NAME).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(value), None) => value.to_str().ok().filter(|key| is_key(key)),
            (Some(_), Some(_)) => None,
        };
        match key {
            Some(key) => Ok(Self(Some(key.to_owned()))),
            None => {
                let detail = format!("must be one value of 1 to {MAX_CHARS} visible ASCII characters");
                Err(Problem::invalid_field(NAME, detail).into())
            }
        }
    }
}

fn is_key(text: &str) -> bool {
    (1..=MAX_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
