//! Reads the times of other systems.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::document::without_byte_order_mark;
use super::json_pointer;

/// Numbers from here on are milliseconds since 1970, then microseconds: as seconds they would be in the year
/// 5138.
const MILLISECONDS_FROM: f64 = 1e11;
const MICROSECONDS_FROM: f64 = 1e14;

/// What systems write without a zone, and mean in UTC.
const LOCAL_FORMATS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// What systems write instead of RFC 3339: a space in the middle, a zone without a colon, a zone by name.
const ZONED_FORMATS: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%dT%H:%M%#z"];

/// Returns the time at a place in a document: RFC 3339 and what resembles it, a date alone, which begins at
/// midnight UTC, or seconds, milliseconds or microseconds since 1970, as a number or a text. Returns `None`
/// for anything else, and for times before 1970 or after 9999, which stand for no time at all.
pub fn time_at(body: &[u8], pointer: &str) -> Option<DateTime<Utc>> {
    let raw = json_pointer::at(without_byte_order_mark(body), pointer)?.get();
    let text: String = match raw.starts_with('"') {
        true => serde_json::from_str(raw).ok()?,
        false => raw.to_owned(),
    };
    let text = text.trim();
    let time = text.parse().ok().and_then(since_1970).or_else(|| of_text(text))?;
    (0..=END_SECONDS).contains(&time.timestamp()).then_some(time)
}

/// The end of the year 9999.
const END_SECONDS: i64 = 253_402_300_799;

fn since_1970(number: f64) -> Option<DateTime<Utc>> {
    let microseconds = match number.abs() {
        seconds if seconds < MILLISECONDS_FROM => number * 1e6,
        milliseconds if milliseconds < MICROSECONDS_FROM => number * 1e3,
        _ => number,
    };
    // Zero is what systems write that have no time; casts saturate, and what is out of range is no time.
    DateTime::from_timestamp_micros(microseconds as i64).filter(|_| microseconds >= 1.0)
}

fn of_text(text: &str) -> Option<DateTime<Utc>> {
    let zoned = || ZONED_FORMATS.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let local = || LOCAL_FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let rfc = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text)).ok();
    let zoned = rfc.or_else(zoned).map(|time| time.to_utc());
    let named = || text.strip_suffix(" UTC").or_else(|| text.strip_suffix(" GMT")).and_then(of_text);
    zoned.or_else(|| local().or_else(date).map(|time| time.and_utc())).or_else(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<String> {
        time_at(format!(r#"{{"a": {{"at": {value}}}}}"#).as_bytes(), "/a/at").map(|time| time.to_rfc3339())
    }

    #[test]
    fn systems_write_one_time_in_many_ways() {
        for value in [
            r#""2026-11-24T02:00:00Z""#,
            r#""2026-11-24T02:00:00.000Z""#,
            r#""2026-11-24T05:00:00+03:00""#,
            r#""2026-11-24T05:00:00+0300""#,
            r#""2026-11-24 05:00:00+03""#,
            r#""2026-11-24 02:00:00 +0000""#,
            r#""2026-11-24 02:00:00 UTC""#,
            r#"" 2026-11-24T02:00:00 ""#,
            r#""2026-11-24 02:00:00""#,
            r#""2026-11-24 02:00""#,
            r#""Tue, 24 Nov 2026 02:00:00 GMT""#,
            "1795485600",
            "1795485600.0",
            "1795485600000",
            "1795485600000000",
            r#""1795485600""#,
            r#""1795485600000""#,
        ] {
            assert_eq!(read(value).as_deref(), Some("2026-11-24T02:00:00+00:00"), "{value}");
        }
        assert_eq!(read(r#""2026-11-24""#).as_deref(), Some("2026-11-24T00:00:00+00:00"));
        assert_eq!(read("1795485600.25").as_deref(), Some("2026-11-24T02:00:00.250+00:00"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for value in [
            "null",
            "true",
            "{}",
            "[]",
            "0",
            "-1",
            "1e300",
            "-1e300",
            "1e18",
            r#""""#,
            r#""yesterday""#,
            r#""NaN""#,
            r#""inf""#,
            r#""0000-00-00 00:00:00""#,
            r#""0001-01-01T00:00:00Z""#,
            r#""+12026-01-01T00:00:00Z""#,
            r#""24.11.2026""#,
            r#""2026-02-30""#,
            r#""\ud800""#,
        ] {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(time_at(b"no json", "/a"), None);
        assert_eq!(time_at(b"{}", "a"), None);
    }
}
