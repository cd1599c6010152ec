use serde::Serialize;

/// What one [`Ats`](crate::Ats) has seen since it was made, over both faces. Calls with bad parameters are
/// not in it. `calls` is always the sum of `served`, `rate_limited` and `faulted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls answered, or about to be after their latency, with the page that was asked for.
    pub served: u64,
    /// Calls answered with 429, by the limit or by a fault.
    pub rate_limited: u64,
    /// Calls that another [`Fault`](crate::Fault) happened to.
    pub faulted: u64,
    /// The most calls that arrived within any one second, refused ones too.
    pub max_calls_in_one_second: u32,
}
