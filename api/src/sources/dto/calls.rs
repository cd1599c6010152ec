use chrono::{DateTime, TimeZone, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_core::call_limit::{self, Evidence, Period, WindowUse};

/// The calls to a source in a period, out of its ledger: what proves that its limits were kept.
#[derive(Debug, Object)]
#[oai(example)]
pub(in crate::sources) struct SourceCalls {
    /// The beginning of the period.
    from: DateTime<Utc>,
    /// Its end, which does not belong to it.
    to: DateTime<Utc>,
    /// How many calls left.
    calls: i64,
    /// How many in a second, on average over the period.
    calls_per_second: f64,
    /// The most in any second, wherever it begins.
    most_in_any_second: i64,
    /// The same for each of the source's limits.
    windows: Vec<WindowOfCalls>,
    /// Calls that the source refused as too many.
    refused: i64,
    /// Calls that brought nothing for another reason.
    failed: i64,
    /// Calls that a crash has wasted: nobody knows what came of them.
    wasted: i64,
    /// Permits that were not used, because their time had passed.
    missed: i64,
    /// How long half of the calls waited for their permit, at most, in milliseconds.
    waited_ms_median: i32,
    /// The longest wait, in milliseconds.
    waited_ms_max: i32,
    /// Bytes of the answers, as they came over the wire.
    bytes: i64,
    /// What holds now; null when the source was never called.
    #[oai(nullable)]
    now: Option<CallState>,
}

/// How far a limit was used up.
#[derive(Debug, Object)]
pub(in crate::sources) struct WindowOfCalls {
    /// How many calls the limit allows.
    calls: u32,
    /// In so many seconds.
    per_seconds: f64,
    /// The most that left in any stretch of that length.
    most: i64,
}

/// What holds for the calls to a source now.
#[derive(Debug, Object)]
pub(in crate::sources) struct CallState {
    /// The most calls a second that it gets; null before the first.
    #[oai(nullable)]
    calls_per_second: Option<f64>,
    /// The part of the configured rate that is left after refusals which named no limit; it recovers within a
    /// minute.
    pace: f64,
    /// Until when the source has asked for silence.
    #[oai(nullable)]
    silent_until: Option<DateTime<Utc>>,
    /// Whether it is called.
    circuit: Circuit,
    /// Until when the circuit is open, before one call probes the source.
    #[oai(nullable)]
    open_until: Option<DateTime<Utc>>,
    /// Calls that are under way.
    under_way: i64,
    /// Calls that failed one after the other, up to now.
    failures_in_row: i32,
    /// How often the circuit was opened.
    openings: i64,
}

/// Whether a source is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "Circuit", rename_all = "snake_case")]
pub(in crate::sources) enum Circuit {
    /// It is.
    Closed,
    /// It is not, because its calls failed one after the other.
    Open,
    /// One call probes it.
    HalfOpen,
    /// It is not, because somebody said so.
    Held,
}

impl SourceCalls {
    pub(in crate::sources) fn new(
        Period { from, to }: Period,
        evidence: Evidence,
        state: Option<call_limit::State>,
    ) -> Self {
        Self {
            from,
            to,
            calls: evidence.calls,
            calls_per_second: evidence.calls_per_second,
            most_in_any_second: evidence.most_in_any_second,
            windows: evidence.most_in_any_window.into_iter().map(Into::into).collect(),
            refused: evidence.refused,
            failed: evidence.failed,
            wasted: evidence.wasted,
            missed: evidence.missed,
            waited_ms_median: evidence.waited_ms_half,
            waited_ms_max: evidence.waited_ms_max,
            bytes: evidence.bytes,
            now: state.map(Into::into),
        }
    }
}

impl From<WindowUse> for WindowOfCalls {
    fn from(WindowUse { limit, most }: WindowUse) -> Self {
        Self { calls: limit.calls, per_seconds: limit.per.0.as_secs_f64(), most }
    }
}

impl From<call_limit::State> for CallState {
    fn from(state: call_limit::State) -> Self {
        let (circuit, open_until) = match state.circuit {
            call_limit::Circuit::Closed => (Circuit::Closed, None),
            call_limit::Circuit::Open(until) => (Circuit::Open, Some(until)),
            call_limit::Circuit::HalfOpen => (Circuit::HalfOpen, None),
            call_limit::Circuit::Held(_) => (Circuit::Held, None),
        };
        Self {
            calls_per_second: state.calls_per_second,
            pace: state.pace,
            silent_until: state.silent_until,
            circuit,
            open_until,
            under_way: state.under_way,
            failures_in_row: state.failures_in_row,
            openings: state.openings,
        }
    }
}

impl Example for SourceCalls {
    fn example() -> Self {
        let from = Utc.timestamp_nanos(1_795_446_000_000_000_000);
        Self {
            from,
            to: from + chrono::TimeDelta::minutes(1),
            calls: 1_764,
            calls_per_second: 29.4,
            most_in_any_second: 30,
            windows: vec![WindowOfCalls { calls: 30, per_seconds: 1.0, most: 30 }],
            refused: 0,
            failed: 2,
            wasted: 1,
            missed: 0,
            waited_ms_median: 180,
            waited_ms_max: 1_020,
            bytes: 20_400_000,
            now: Some(CallState {
                calls_per_second: Some(29.4),
                pace: 1.0,
                silent_until: None,
                circuit: Circuit::Closed,
                open_until: None,
                under_way: 5,
                failures_in_row: 0,
                openings: 0,
            }),
        }
    }
}
