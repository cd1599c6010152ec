use std::{fmt, time::Duration};

use crate::Point;

/// What came of a point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything that must be true is.
    Passed,
    /// The worker did not come to it in any of the tries: which statements it sends depends a little on time.
    NotReached,
    /// What is wrong.
    Failed(Vec<String>),
}

/// What came of the points of one scenario or of several.
#[derive(Debug, Default)]
pub struct Report {
    /// Scenario, point, verdict, and how long it took.
    pub entries: Vec<(String, Point, Verdict, Duration)>,
}

impl Report {
    /// How many points there were: those that were reached.
    pub fn points(&self) -> usize {
        self.entries.len() - self.not_reached()
    }

    /// How many of them failed.
    pub fn failed(&self) -> usize {
        self.entries.iter().filter(|(_, _, verdict, _)| matches!(verdict, Verdict::Failed(_))).count()
    }

    /// How many others were never reached.
    pub fn not_reached(&self) -> usize {
        self.entries.iter().filter(|(_, _, verdict, _)| *verdict == Verdict::NotReached).count()
    }

    /// The line for one entry; a failure has further lines.
    pub fn line(scenario: &str, point: &Point, verdict: &Verdict, took: Duration) -> String {
        let took = took.as_secs_f64();
        match verdict {
            Verdict::Passed => format!("passed      {took:4.1} s  {scenario}: {point}"),
            Verdict::NotReached => format!("not reached {took:4.1} s  {scenario}: {point}"),
            Verdict::Failed(violations) => {
                format!("FAILED      {took:4.1} s  {scenario}: {point}\n  {}", violations.join("\n  "))
            }
        }
    }

    /// Takes over the entries of another report.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }
}

/// The failures, then one line of counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (scenario, point, verdict, took) in &self.entries {
            if matches!(verdict, Verdict::Failed(_)) {
                writeln!(f, "{}", Self::line(scenario, point, verdict, *took))?;
            }
        }
        let (points, failed) = (self.points(), self.failed());
        write!(f, "{points} crash points, {} passed, {failed} failed", points - failed)?;
        match self.not_reached() {
            0 => Ok(()),
            others => write!(f, " ({others} others not reached)"),
        }
    }
}
