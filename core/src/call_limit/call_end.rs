use std::time::Duration;

use super::Announced;

/// The code of a call that was refused because it was one too many.
pub(super) const REFUSED: &str = "rate_limited";

/// The code of a permit whose call did not leave. The ledger's readers leave it out.
pub(super) const MISSED: &str = "permit_missed";

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct CallEnd {
    /// How long after the permit's time the call left.
    pub late: Duration,
    /// From its leaving to its last byte, or to giving up.
    pub took: Duration,
    /// The status of the answer, where there was one.
    pub status: Option<u16>,
    /// Why it brought nothing, as a code; that of a refused one is `rate_limited`, whatever stands here.
    pub code: Option<String>,
    /// How many bytes came.
    pub bytes: u64,
    /// What it means for the source.
    pub ending: Ending,
    /// What the answer said of the limit.
    pub announced: Announced,
}

/// What a call's end says of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "call_ending", rename_all = "snake_case")]
pub enum Ending {
    /// The source works, whatever the answer is good for.
    Answered,
    /// It does not answer this many calls.
    Refused,
    /// It does not answer us: 401 or 403.
    Denied,
    /// It does not work: an error of its own, no answer in time, no connection.
    Failed,
    /// Nothing: another host was called, the call was to check a definition, or what was refused is mended
    /// without anybody's help.
    Aside,
}

/// Why no call that was made with a permit has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// The call did not leave: its time was over, or nobody wanted it any more.
    Missed,
    /// It left, and nobody waited for its end.
    Abandoned,
}
