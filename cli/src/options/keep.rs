use std::{str::FromStr, time::Duration};

/// How long something is kept; `None`: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Keep(pub(crate) Option<Duration>);

/// The shortest: who looks into what went wrong last night needs it.
const KEEP_MIN: Duration = Duration::from_secs(24 * 3600);

/// The longest: a thousand years before now is still a time to Postgres.
const KEEP_MAX: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "forever" {
            return Ok(Self(None));
        }
        match humantime::parse_duration(text) {
            Ok(time) if time > KEEP_MAX => Err("write `forever` for more than a thousand years".to_owned()),
            Ok(time) if time >= KEEP_MIN => Ok(Self(Some(time))),
            Ok(_) => Err("keep it for a day at least: `1day`, `30days`, `forever`".to_owned()),
            Err(error) => Err(format!("{error}; write `1day`, `30days` or `forever`")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_kept_for_a_day_at_least() {
        let days = |days: u64| Ok(Keep(Some(Duration::from_secs(days * 24 * 3600))));
        for (text, kept) in
            [("forever", Ok(Keep(None))), ("1day", days(1)), ("24h", days(1)), ("30days", days(30))]
        {
            assert_eq!(text.parse::<Keep>(), kept, "{text}");
        }
        assert!("1001years".parse::<Keep>().unwrap_err().contains("forever"));
        for text in ["0s", "23h 59min", "", "30", "-1day", "for ever", "never"] {
            assert!(text.parse::<Keep>().unwrap_err().contains("1day"), "{text}");
        }
    }
}
