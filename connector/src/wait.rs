use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, NaiveDateTime, Utc};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use resume_core::source::definition::SILENCE_MAX;

/// The longest text that may tell a time.
const TEXT_BYTES_MAX: usize = 64;
/// Times without a zone are in UTC.
const WITHOUT_ZONE: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.fZ", "%Y-%m-%d %H:%M:%S%.f UTC"];
const WITH_ZONE: [&str; 3] =
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];

/// How long the answer asks to wait, in whole seconds, by the [clock of the source](source_time). RFC 9110,
/// section 10.2.3, knows seconds and a date; sources write whatever [`wait`] reads. At most [`SILENCE_MAX`].
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let asked = wait(headers.get(RETRY_AFTER)?.to_str().ok()?, source_time(headers))?;
    // Who comes a part of a second early is refused once more.
    Some(Duration::from_secs(asked.as_secs() + u64::from(asked.subsec_nanos() > 0)))
}

/// The clock of the source, which its times are by, as its header `Date` shows it; without that, ours.
pub(crate) fn source_time(headers: &HeaderMap) -> SystemTime {
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    date.unwrap_or_else(SystemTime::now)
}

/// How long it is from `now` to the time that a header tells: in seconds; as seconds or milliseconds since
/// 1970, which its size shows; in words, as RFC 3339 or HTTP have them; or as a length of time such as
/// `1m30s`. What is over is no wait. At most [`SILENCE_MAX`]; `None` for what is no time.
pub(crate) fn wait(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim().trim_matches('"').trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let wait = match text.parse::<f64>() {
        Ok(number) => from_number(number, now)?,
        Err(_) => match moment(text) {
            Some(moment) => moment.duration_since(now).unwrap_or_default(),
            None => humantime::parse_duration(text).ok()?,
        },
    };
    Some(wait.min(SILENCE_MAX))
}

fn from_number(number: f64, now: SystemTime) -> Option<Duration> {
    if !number.is_finite() || number < 0.0 {
        return None;
    }
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let seconds = match number {
        ms if ms >= 1e12 => ms / 1e3 - since_1970,
        s if s >= 1e9 => s - since_1970,
        seconds => seconds,
    };
    Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(SILENCE_MAX))
}

fn moment(text: &str) -> Option<SystemTime> {
    if let Ok(date) = httpdate::parse_http_date(text) {
        return Some(date);
    }
    let zoned = DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_rfc2822(text));
    let zoned = zoned
        .ok()
        .or_else(|| WITH_ZONE.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()));
    let plain = || WITHOUT_ZONE.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    let moment: DateTime<Utc> = match zoned {
        Some(zoned) => zoned.to_utc(),
        None => plain()?.and_utc(),
    };
    Some(moment.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const DAY: &str = "Sat, 23 Nov 2024 12:00:00 GMT"; // 1732363200

    fn parse(value: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([
            (DATE, DAY.parse().unwrap()),
            (RETRY_AFTER, value.parse().unwrap()),
        ]))
    }

    #[test]
    fn a_wait_is_read_in_all_its_forms() {
        for (value, seconds) in [
            ("7", 7),
            ("  7 ", 7),
            ("20.0", 20),
            ("19.01", 20),
            ("0.2", 1),
            ("0", 0),
            ("1732363230", 30),
            ("1732363229.25", 30),
            ("1732363230000", 30),
            ("1732363100", 0),
            ("2024-11-23T12:00:30Z", 30),
            ("2024-11-23T12:00:29.123456Z", 30),
            ("2024-11-23T13:00:29.123456+01:00", 30),
            ("2024-11-23T12:00:30+0000", 30),
            ("2024-11-23T12:00:30", 30),
            ("2024-11-23T12:00:29.5", 30),
            ("2024-11-23 12:00:30", 30),
            ("2024-11-23 12:00:30+00", 30),
            ("2024-11-23 12:00:30 UTC", 30),
            ("\"2024-11-23T12:00:30Z\"", 30),
            ("Sat, 23 Nov 2024 12:00:30 GMT", 30),
            ("Saturday, 23-Nov-24 12:00:30 GMT", 30),
            ("Sat, 23 Nov 2024 12:00:30 +0000", 30),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
            ("2015-10-21T07:28:00Z", 0),
            ("1m30s", 90),
            ("1.5e1", 15),
        ] {
            assert_eq!(parse(value), Some(SECOND * seconds), "{value:?}");
        }
        assert_eq!(parse("99999999"), Some(SILENCE_MAX));
        assert_eq!(parse("2099-01-01T00:00:00Z"), Some(SILENCE_MAX));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let long = "9".repeat(65);
        for value in [
            "soon",
            "-1",
            "",
            "NaN",
            "inf",
            "1e400",
            "0x10",
            "12:00",
            "2024-11-23",
            "2024-13-01T00:00:00Z",
            &long,
        ] {
            assert_eq!(parse(value), None, "{value:?}");
        }
    }

    #[test]
    fn without_a_date_the_clock_is_ours() {
        let soon = httpdate::fmt_http_date(SystemTime::now() + 60 * SECOND);
        let wait = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, soon.parse().unwrap())])).unwrap();
        assert!(wait > 50 * SECOND && wait <= 60 * SECOND, "{wait:?}");
    }

    #[test]
    fn a_date_is_by_the_clock_of_the_source() {
        let ahead = SystemTime::now() + 3600 * SECOND;
        let date = |time| httpdate::fmt_http_date(time).parse().unwrap();
        for clock in [ahead, SystemTime::UNIX_EPOCH] {
            let headers = [(DATE, date(clock)), (RETRY_AFTER, date(clock + 5 * SECOND))];
            assert_eq!(retry_after(&HeaderMap::from_iter(headers)), Some(5 * SECOND));
        }
    }
}
