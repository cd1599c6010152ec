use chrono::{DateTime, SecondsFormat, Utc};

use super::TimeFormat;

impl TimeFormat {
    /// A time as the system writes it.
    pub fn write(self, time: DateTime<Utc>) -> String {
        match self {
            Self::Rfc3339 => time.to_rfc3339_opts(SecondsFormat::Millis, true),
            Self::EpochS => time.timestamp().to_string(),
            Self::EpochMs => time.timestamp_millis().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_system_does() {
        let time = DateTime::from_timestamp_millis(1_795_446_000_789).unwrap();
        let written = [TimeFormat::Rfc3339, TimeFormat::EpochS, TimeFormat::EpochMs].map(|f| f.write(time));
        assert_eq!(written, ["2026-11-23T15:00:00.789Z", "1795446000", "1795446000789"]);
    }
}
