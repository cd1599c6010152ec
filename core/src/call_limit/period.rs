use chrono::{DateTime, Utc};

/// A stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// When it begins.
    pub from: DateTime<Utc>,
    /// Its end, which is no longer in it.
    pub to: DateTime<Utc>,
}
