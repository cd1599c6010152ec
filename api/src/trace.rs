//! The W3C trace context of a request, which every job that it enqueues carries on.

use poem::Request;
use uuid::Uuid;

/// What the request brought (<https://www.w3.org/TR/trace-context/#traceparent-header>), or a new trace where
/// it brought none or nonsense.
pub(crate) fn traceparent(request: &Request) -> String {
    let brought = request.header("traceparent").filter(|value| is_traceparent(value));
    brought.map_or_else(new, str::to_owned)
}

/// Version 00: trace id, span id and flags in lower-case hexadecimal, none of the ids all zero.
fn is_traceparent(value: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let is_id = |part: &str, digits| part.len() == digits && is_hex(part) && part.bytes().any(|b| b != b'0');
    match value.split('-').collect::<Vec<_>>()[..] {
        ["00", trace, span, flags] => {
            is_id(trace, 32) && is_id(span, 16) && flags.len() == 2 && is_hex(flags)
        }
        _ => false,
    }
}

fn new() -> String {
    let span = &Uuid::new_v4().simple().to_string()[..16];
    format!("00-{}-{span}-01", Uuid::new_v4().simple())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_and_nonsense_is_replaced() {
        let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let request = Request::builder().header("traceparent", given).finish();
        assert_eq!(traceparent(&request), given);
        for nonsense in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            let request = Request::builder().header("traceparent", nonsense).finish();
            let new = traceparent(&request);
            assert!(new != nonsense && is_traceparent(&new), "{nonsense}: {new}");
        }
    }
}
