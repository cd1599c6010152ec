use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::ApiResponse;
use resume_core::call_limit::{Evidence, Period, WindowUse};

use super::csv::{Csv, quoted};

const HEAD: &str = "source,from,to,limit_calls,limit_seconds,most,kept,calls,refused,failed,wasted,missed,waited_ms_median,waited_ms_max\n";

/// A statement as a file.
#[derive(ApiResponse)]
pub(super) enum StatementFile {
    /// A line for each limit of the source, below a line of names.
    #[oai(status = 200)]
    Lines(Csv),
}

/// Whether the limits of a source were kept in a period, a line for each.
pub(super) fn statement(source: &str, Period { from, to }: Period, evidence: &Evidence) -> StatementFile {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    let Evidence { calls, refused, failed, wasted, missed, waited_ms_half, waited_ms_max, .. } = evidence;
    let line = |WindowUse { limit, most }: &WindowUse| {
        let (source, from, to) = (quoted(source), time(from), time(to));
        let (allowed, seconds) = (limit.calls, limit.per.0.as_secs_f64());
        let kept = *most <= i64::from(allowed);
        format!(
            "{source},{from},{to},{allowed},{seconds},{most},{kept},{calls},{refused},{failed},{wasted},{missed},{waited_ms_half},\
             {waited_ms_max}\n"
        )
    };
    let lines: String = evidence.most_in_any_window.iter().map(line).collect();
    StatementFile::Lines(Csv::of(format!("{HEAD}{lines}")))
}
