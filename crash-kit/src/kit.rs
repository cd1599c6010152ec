use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Blow, Moment, Point, Report, Scenario, Statement, Verdict,
    ending::Ending,
    trial::{self, Trial},
};

/// How many trials run at once by default. Half of each is waiting for a dead worker to be noticed.
const SIDE_BY_SIDE: usize = 8;

/// How many executions of the same statement are points by default. Later ones mostly find the worker in the
/// same situation; but attempts that end in different ways are settled by the same statement, in some four
/// batches.
const OCCURRENCES_MAX: u32 = 4;

/// As [`OCCURRENCES_MAX`], of a statement with a subject: a look at one queue, say. How many more follow is a
/// matter of time.
const OCCURRENCES_OF_SUBJECT_MAX: u32 = 2;

/// How often to try to reach a point.
const TRIES_MAX: usize = 3;

/// Runs a scenario with a crash at each of its points.
#[derive(Debug)]
pub struct CrashKit<S> {
    scenario: Arc<S>,
    side_by_side: usize,
    occurrences_max: u32,
    silences: bool,
    every: usize,
    only: Option<String>,
}

impl<S: Scenario> CrashKit<S> {
    /// For all points of a scenario.
    pub fn new(scenario: S) -> Self {
        Self {
            scenario: Arc::new(scenario),
            side_by_side: SIDE_BY_SIDE,
            occurrences_max: OCCURRENCES_MAX,
            silences: false,
            every: 1,
            only: None,
        }
    }

    /// Takes every n-th point only, always the same ones.
    #[must_use]
    pub fn every(self, n: usize) -> Self {
        Self { every: n.max(1), ..self }
    }

    /// Takes the points only whose line contains this text; how many spaces are between words does not
    /// matter.
    #[must_use]
    pub fn only(self, text: impl Into<String>) -> Self {
        Self { only: Some(text.into()), ..self }
    }

    /// Takes the first n executions of the same statement as points, 4 by default; but the first two at most
    /// of one with a subject.
    #[must_use]
    pub fn occurrences(self, n: u32) -> Self {
        Self { occurrences_max: n, ..self }
    }

    /// Lets connections fall silent instead of closing them, and nothing else: see [`Blow::Silence`].
    #[must_use]
    pub fn silences(self) -> Self {
        Self { silences: true, ..self }
    }

    /// Runs so many points at once; each needs up to some thirty connections.
    #[must_use]
    pub fn side_by_side(self, n: usize) -> Self {
        Self { side_by_side: n.max(1), ..self }
    }

    /// The points, in the order in which they are run.
    ///
    /// # Errors
    /// As [`CrashKit::run`].
    pub async fn points(&self) -> Result<Vec<Point>> {
        Ok(self.dry_run().await?.0)
    }

    /// Runs the scenario at every point, and tells the verdict of each as soon as it is known.
    ///
    /// # Errors
    /// When the scenario violates an invariant, or ends in different ways, where nothing crashes; and when
    /// there is no server. What goes wrong at a point is its verdict.
    pub async fn run(&self, mut on_verdict: impl FnMut(&str, &Point, &Verdict, Duration)) -> Result<Report> {
        let (points, undisturbed) = self.dry_run().await?;
        let undisturbed = Arc::new(undisturbed);
        let slots = Arc::new(Semaphore::new(self.side_by_side));
        let mut trials = JoinSet::new();
        for point in points {
            let (scenario, undisturbed, slots) = (self.scenario.clone(), undisturbed.clone(), slots.clone());
            trials.spawn(async move {
                let _slot = slots.acquire_owned().await;
                let start = Instant::now();
                let verdict = judge(&*scenario, &point, &undisturbed).await;
                (point, verdict, start.elapsed())
            });
        }
        let name = self.scenario.name();
        let mut report = Report::default();
        while let Some(ended) = trials.join_next().await {
            let (point, verdict, took) = ended.context("a trial was cancelled, or panicked")?;
            on_verdict(name, &point, &verdict, took);
            report.entries.push((name.to_owned(), point, verdict, took));
        }
        Ok(report)
    }

    /// Runs the scenario twice without a crash: gives the points that both runs had, and how they ended.
    async fn dry_run(&self) -> Result<(Vec<Point>, Ending)> {
        let (first, ending) = undisturbed(&*self.scenario, None).await?;
        let (second, _) = undisturbed(&*self.scenario, Some(&ending)).await?;
        let mut points = Vec::new();
        for (statement, count) in first.counts {
            let sure = count.min(second.counts.get(&statement).copied().unwrap_or(0));
            let most = match statement.subject {
                Some(_) => self.occurrences_max.min(OCCURRENCES_OF_SUBJECT_MAX),
                None => self.occurrences_max,
            };
            points.extend((1..=sure.min(most)).flat_map(|n| points_at(&statement, n, self.silences)));
        }
        let is_wanted = |point: &Point| {
            self.only.as_ref().is_none_or(|text| squeeze(&point.to_string()).contains(&squeeze(text)))
        };
        Ok((points.into_iter().filter(is_wanted).step_by(self.every).collect(), ending))
    }
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What can happen at one execution of a statement.
fn points_at(statement: &Statement, occurrence: u32, silences: bool) -> Vec<Point> {
    let blows: &[Blow] = match occurrence {
        _ if silences => &[Blow::Silence],
        1 => &[Blow::Abort, Blow::Cut, Blow::Outage],
        // Where all connections break it matters little which statement was under way: once for each is
        // enough.
        _ => &[Blow::Abort, Blow::Cut],
    };
    let both = |blow: &Blow| {
        let statement = statement.clone();
        let blow = *blow;
        [Moment::Before, Moment::After].map(|moment| Point {
            statement: statement.clone(),
            occurrence,
            moment,
            blow,
        })
    };
    blows.iter().flat_map(both).collect()
}

async fn undisturbed<S: Scenario>(scenario: &S, other: Option<&Ending>) -> Result<(Trial, Ending)> {
    let mut trial = trial::run(scenario, None, other).await?;
    match trial.ending.take() {
        Some(ending) if trial.violations.is_empty() => Ok((trial, ending)),
        _ => bail!(
            "the scenario {} fails where nothing crashes:\n{}",
            scenario.name(),
            trial.violations.join("\n")
        ),
    }
}

async fn judge<S: Scenario>(scenario: &S, point: &Point, undisturbed: &Ending) -> Verdict {
    for _ in 0..TRIES_MAX {
        match trial::run(scenario, Some(point), Some(undisturbed)).await {
            Err(error) => return Verdict::Failed(vec![format!("the trial itself failed: {error:#}")]),
            Ok(trial) if !trial.violations.is_empty() => return Verdict::Failed(trial.violations),
            Ok(trial) if trial.struck => return Verdict::Passed,
            Ok(_) => {}
        }
    }
    Verdict::NotReached
}
