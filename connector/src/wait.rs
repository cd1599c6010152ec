use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};
use resume_core::call_limit::SILENCE_MAX;

/// How long the answer asks to wait: seconds, or a date (RFC 9110, section 10.2.3) by the [clock of the
/// source](source_time). At most [`SILENCE_MAX`].
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wait = match value.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            httpdate::parse_http_date(value).ok()?.duration_since(source_time(headers)).unwrap_or_default()
        }
    };
    Some(wait.min(SILENCE_MAX))
}

/// The clock of the source, which its times are by, as its header `Date` shows it; without that, ours.
pub fn source_time(headers: &HeaderMap) -> SystemTime {
    let date = headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    date.unwrap_or_else(SystemTime::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<Duration> {
        retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]))
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(parse("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse("99999999"), Some(SILENCE_MAX));
        assert_eq!(parse("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
        assert_eq!(parse("-1"), None);
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(60));
        let wait = parse(&soon).unwrap();
        assert!(wait > Duration::from_secs(50) && wait <= Duration::from_secs(60), "{wait:?}");
    }

    #[test]
    fn a_date_is_by_the_clock_of_the_source() {
        let ahead = SystemTime::now() + Duration::from_secs(3600);
        let date = |time| httpdate::fmt_http_date(time).parse().unwrap();
        for clock in [ahead, SystemTime::UNIX_EPOCH] {
            let headers = [(DATE, date(clock)), (RETRY_AFTER, date(clock + Duration::from_secs(5)))];
            assert_eq!(retry_after(&HeaderMap::from_iter(headers)), Some(Duration::from_secs(5)));
        }
    }
}
