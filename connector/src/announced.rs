use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use resume_core::call_limit::{Announced, AnnouncedLimit};

use crate::wait::{retry_after, source_time, wait};

/// A number of calls that no source allows; what tells of more says nothing.
const CALLS_MAX: f64 = 1e9;
/// The most parts of a header that are read.
const PARTS_MAX: usize = 16;

/// Reads what the headers of an answer say of the limit. Whatever makes no sense says nothing. `is_refused`:
/// the call was one too many, so that a reset without a number of calls that are left tells when there are
/// calls again.
///
/// `Retry-After` (RFC 9110, section 10.2.3); `RateLimit` and `RateLimit-Policy` of
/// draft-ietf-httpapi-ratelimit-headers and the three headers of its older versions; `X-RateLimit-*` and
/// `X-Rate-Limit-*`, which nobody has defined.
pub fn announced(headers: &HeaderMap, is_refused: bool) -> Announced {
    let now = source_time(headers);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let first = |names: [&str; 3]| names.into_iter().find_map(text);
    let remaining = first(["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"]);
    let reset = first(["ratelimit-reset", "x-ratelimit-reset", "x-rate-limit-reset"]);
    let exhausted_for = match text("ratelimit").map(standings) {
        Some(standings) if !standings.is_empty() => exhausted(standings, now),
        _ => {
            let left = if is_refused { Some(0.0) } else { None };
            exhausted([(remaining.map_or(left, number), reset)], now)
        }
    };

    let mut limits = text("ratelimit-policy").map(policies).unwrap_or_default();
    if limits.is_empty() {
        let plain = first(["ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit"]);
        limits.extend(plain.and_then(|value| limit(value.split([',', ';']).next()?, None)));
    }
    Announced { retry_after: retry_after(headers), limits, exhausted_for }
}

/// Whether the headers say that no call is left.
pub(crate) fn is_exhausted(headers: &HeaderMap) -> bool {
    const REMAINING: [&str; 3] = ["ratelimit-remaining", "x-ratelimit-remaining", "x-rate-limit-remaining"];
    let mut remaining = REMAINING.into_iter().filter_map(|name| headers.get(name)?.to_str().ok());
    remaining.any(|left| number(left).is_some_and(|left| left < 1.0))
        || announced(headers, false).exhausted_for.is_some()
}

/// What is left of a quota, and when there is more.
type Standing<'a> = (Option<f64>, Option<&'a str>);

/// How long until there are calls again, by the quotas of which none is left.
fn exhausted<'a>(standings: impl IntoIterator<Item = Standing<'a>>, now: SystemTime) -> Option<Duration> {
    let used_up = standings.into_iter().filter(|(left, _)| left.is_some_and(|left| left < 1.0));
    used_up.filter_map(|(_, reset)| wait(reset?, now)).max()
}

/// What is left of each quota, and when there is more: `"name";r=50;t=30` each, separated by commas; in an
/// older draft one quota alone, `limit=100, remaining=50, reset=5`.
fn standings(value: &str) -> Vec<Standing<'_>> {
    fn of(item: &str) -> Standing<'_> {
        (parameter(item, &["r", "remaining"]).and_then(number), parameter(item, &["t", "reset"]))
    }
    if parameter(value, &["remaining"]).is_some() {
        return vec![of(value)];
    }
    value.split(',').take(PARTS_MAX).map(of).filter(|(left, _)| left.is_some()).collect()
}

/// The policies `"name";q=100;w=60`, or as in older drafts `100;w=60`, separated by commas.
fn policies(value: &str) -> Vec<AnnouncedLimit> {
    let items = value.split(',').take(PARTS_MAX);
    items
        .filter_map(|item| {
            let calls = parameter(item, &["q"]).or_else(|| item.split(';').next())?;
            limit(calls, parameter(item, &["w"]).and_then(number))
        })
        .collect()
}

fn limit(calls: &str, per_s: Option<f64>) -> Option<AnnouncedLimit> {
    let calls = number(calls).filter(|calls| (1.0..CALLS_MAX).contains(calls))?;
    let per = match per_s {
        Some(seconds) => Some(Duration::try_from_secs_f64(seconds).ok()?),
        None => None,
    };
    Some(AnnouncedLimit { calls: calls as u32, per })
}

/// The value of the first parameter of one of these names: `..;name=value`, also after a comma.
fn parameter<'a>(value: &'a str, names: &[&str]) -> Option<&'a str> {
    value.split([';', ',']).take(PARTS_MAX).find_map(|part| {
        let (name, value) = part.split_once('=')?;
        names.iter().any(|wanted| name.trim().eq_ignore_ascii_case(wanted)).then_some(value)
    })
}

fn number(text: &str) -> Option<f64> {
    let number: f64 = text.trim().trim_matches('"').parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};
    use resume_core::source::definition::SILENCE_MAX;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn map(headers: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = headers.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        pairs.collect()
    }

    fn announced(headers: &[(&'static str, &str)]) -> Announced {
        super::announced(&map(headers), false)
    }

    fn limit(calls: u32, per_s: Option<u32>) -> Vec<AnnouncedLimit> {
        vec![AnnouncedLimit { calls, per: per_s.map(|s| SECOND * s) }]
    }

    #[test]
    fn the_draft_is_read() {
        let headers =
            [("ratelimit-policy", r#""default";q=100;w=10"#), ("ratelimit", r#""default";r=0;t=5"#)];
        let expected =
            Announced { limits: limit(100, Some(10)), exhausted_for: Some(5 * SECOND), retry_after: None };
        assert_eq!(announced(&headers), expected);
        assert_eq!(announced(&[("ratelimit", r#""default";r=1;t=5"#)]), Announced::default(), "one is left");
        for (standings, seconds) in [
            (r#""burst";r=5;t=1, "day";r=0;t=3600"#, Some(3600)),
            (r#""day";r=0;t=600, "burst";r=5;t=1"#, Some(600)),
            (r#""burst";r=0;t=1, "day";r=0;t=60"#, Some(60)),
            (r#""burst";t=1, "day";r=0"#, None),
        ] {
            let announced = announced(&[("ratelimit", standings)]);
            assert_eq!(announced.exhausted_for, seconds.map(|s| SECOND * s), "{standings}");
        }
        let several = announced(&[("ratelimit-policy", r#""burst";q=10;w=1, "day";q=5000;w=86400"#)]);
        assert_eq!(several.limits, [limit(10, Some(1)), limit(5000, Some(86_400))].concat());
    }

    #[test]
    fn older_drafts_are_read() {
        let headers =
            [("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "7")];
        let expected =
            Announced { limits: limit(100, None), exhausted_for: Some(7 * SECOND), retry_after: None };
        assert_eq!(announced(&headers), expected);
        assert_eq!(announced(&[("ratelimit-policy", "100;w=60")]).limits, limit(100, Some(60)));
        let combined = announced(&[("ratelimit", "limit=100, remaining=0, reset=50")]);
        assert_eq!(combined.exhausted_for, Some(50 * SECOND));
    }

    #[test]
    fn what_nobody_has_defined_is_read_by_its_size() {
        let date = "Sat, 23 Nov 2024 12:00:00 GMT"; // 1732363200
        for (reset, seconds) in [
            ("30", 30),
            ("1732363230", 30),
            ("1732363230000", 30),
            ("1732363100", 0),
            ("2024-11-23T12:00:30.000000+00:00", 30),
            ("2024-11-23T12:00:30", 30),
            ("Sat, 23 Nov 2024 12:00:30 GMT", 30),
        ] {
            for prefix in [
                ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"],
                ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"],
            ] {
                let announced =
                    announced(&[("date", date), (prefix[0], "50"), (prefix[1], "0"), (prefix[2], reset)]);
                assert_eq!(
                    (announced.limits, announced.exhausted_for),
                    (limit(50, None), Some(SECOND * seconds))
                );
            }
        }
    }

    #[test]
    fn a_refusal_without_a_number_ends_with_the_reset() {
        let headers = map(&[("x-ratelimit-reset", "30")]);
        assert_eq!(super::announced(&headers, false).exhausted_for, None);
        assert_eq!(super::announced(&headers, true).exhausted_for, Some(30 * SECOND));
        let others = map(&[("x-ratelimit-reset", "30"), ("x-ratelimit-remaining", "7")]);
        assert_eq!(super::announced(&others, true).exhausted_for, None, "another limit has refused it");
    }

    #[test]
    fn nothing_may_be_left_without_a_time() {
        assert!(is_exhausted(&map(&[("x-ratelimit-remaining", "0")])));
        assert!(is_exhausted(&map(&[("ratelimit", r#""day";r=0;t=5"#)])));
        assert!(!is_exhausted(&map(&[("x-ratelimit-remaining", "1")])));
        assert!(!is_exhausted(&map(&[])));
    }

    #[test]
    fn nonsense_says_nothing() {
        let huge = "9".repeat(400);
        let many = "1;w=1,".repeat(5000);
        for value in ["", "-5", "NaN", "inf", "1e400", "a;b=c", ";;;===", "\"", "q=;w=", "0x10", &huge] {
            let announced = announced(&[
                ("ratelimit-policy", value),
                ("ratelimit", value),
                ("ratelimit-limit", value),
                ("x-ratelimit-remaining", value),
                ("x-ratelimit-reset", value),
                ("retry-after", value),
            ]);
            assert_eq!(announced, Announced::default(), "{value:?}");
        }
        assert_eq!(announced(&[("ratelimit-policy", "5;w=1e300")]).limits, []);
        assert_eq!(announced(&[("ratelimit-policy", &many)]).limits.len(), PARTS_MAX);
        let far = announced(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1e300")]);
        assert_eq!(far.exhausted_for, Some(SILENCE_MAX));
    }
}
