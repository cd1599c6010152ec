use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::stream;
use poem::{Body, IntoResponse, Response};
use poem_openapi::{
    ApiResponse,
    payload::Payload,
    registry::{MetaSchema, MetaSchemaRef},
};
use resume_core::{
    call_limit::{self, CallRecord, LedgerPlace, Period},
    db::{self, PgPool},
};

/// How many calls are read at once. The next ones are read when the client has taken these.
const CALLS_AT_ONCE: u32 = 5_000;

const HEAD: &str =
    "id,departs_at,left_at,ended_at,worker_id,data_request_id,call_id,waited_ms,took_ms,status,code,bytes\n";

/// A ledger as a file.
#[derive(ApiResponse)]
pub(super) enum LedgerFile {
    /// A line for each call, by time, below a line of names.
    #[oai(status = 200)]
    Lines(Csv),
}

/// Comma-separated values, RFC 4180.
pub(super) struct Csv(Body);

impl Payload for Csv {
    const CONTENT_TYPE: &'static str = "text/csv";

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")))
    }
}

impl Csv {
    /// All lines, that of the names included.
    pub(super) fn of(text: String) -> Self {
        Self(Body::from_string(text))
    }
}

impl IntoResponse for Csv {
    fn into_response(self) -> Response {
        Response::builder().content_type("text/csv; charset=utf-8").body(self.0)
    }
}

/// The calls to a source that left in a period. The first of them are read before this returns, so that a
/// database that is away is told as a problem; what goes wrong later cuts the file off.
///
/// # Errors
/// The database's.
pub(super) async fn ledger(pool: PgPool, source: String, period: Period) -> Result<LedgerFile, db::Error> {
    let first = call_limit::ledger(&pool, &source, period, None, CALLS_AT_ONCE).await?;
    let rest = stream::try_unfold((Some(HEAD.to_owned()), Some(first)), move |(head, ready)| {
        let (pool, source) = (pool.clone(), source.clone());
        async move {
            let Some(calls) = ready else { return Ok::<_, std::io::Error>(None) };
            let mut text = head.unwrap_or_default();
            calls.iter().for_each(|call| write(&mut text, call));
            let next = match calls.last() {
                Some(last) if calls.len() == CALLS_AT_ONCE as usize => {
                    let place = LedgerPlace { departs_at: last.departs_at, id: last.id };
                    let next = call_limit::ledger(&pool, &source, period, Some(place), CALLS_AT_ONCE).await;
                    Some(next.map_err(std::io::Error::other)?)
                }
                _ => None,
            };
            Ok(Some((Bytes::from(text), (None, next))))
        }
    });
    Ok(LedgerFile::Lines(Csv(Body::from_bytes_stream(rest))))
}

fn write(text: &mut String, call: &CallRecord) {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let fields = [
        call.id.to_string(),
        time(call.departs_at),
        call.left_at.map(time).unwrap_or_default(),
        call.ended_at.map(time).unwrap_or_default(),
        call.worker_id.to_string(),
        call.collection_id.to_string(),
        call.call_id.to_string(),
        call.waited_ms.to_string(),
        call.took_ms.map(|ms| ms.to_string()).unwrap_or_default(),
        call.status.map(|status| status.to_string()).unwrap_or_default(),
        // Some of it comes from the source.
        quoted(call.code.as_deref().unwrap_or_default()),
        call.bytes.map(|bytes| bytes.to_string()).unwrap_or_default(),
    ];
    text.push_str(&fields.join(","));
    text.push('\n');
}

/// A field as RFC 4180 wants it. One that a spreadsheet would take for a formula begins with an apostrophe.
pub(super) fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", field.replace('"', "\"\""))
    } else {
        format!("{guard}{field}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stays_one_field() {
        for (field, written) in [
            ("source_http_500", "source_http_500"),
            ("a,b", "\"a,b\""),
            ("a\"b\n", "\"a\"\"b\n\""),
            ("=1+1", "'=1+1"),
            ("", ""),
        ] {
            assert_eq!(quoted(field), written);
        }
    }
}
