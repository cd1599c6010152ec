use chrono::{DateTime, Utc};
use poem_openapi::{Enum, Object, types::Example};
use resume_queue::inspect::{self, Reason};

/// Why a job does not run.
#[derive(Debug, Object)]
#[oai(rename = "JobObstacles", example)]
pub(in crate::jobs) struct Obstacles {
    /// All that keeps it now, the most decisive first; never empty.
    obstacles: Vec<Obstacle>,
}

/// Something that keeps a job from running.
#[derive(Debug, Object)]
#[oai(rename = "JobObstacle")]
struct Obstacle {
    /// What sort of reason it is.
    reason: ObstacleReason,
    /// The same in words, with the figures.
    detail: String,
    /// When it ends by itself; null where nobody knows.
    #[oai(nullable)]
    until: Option<DateTime<Utc>>,
    /// How many jobs come first, at most 10,000; null with other reasons than `behind`.
    #[oai(nullable)]
    ahead: Option<u64>,
}

/// What keeps a job from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "JobObstacleReason", rename_all = "snake_case")]
enum ObstacleReason {
    /// It is no longer there.
    Unknown,
    /// It has ended.
    Ended,
    /// It does run.
    Running,
    /// Its queue is paused.
    Paused,
    /// It waits for its time: it is scheduled, or failed and waits for the next attempt.
    Waiting,
    /// No live worker takes jobs of its queue.
    NoWorker,
    /// Its queue runs as many jobs as it may.
    QueueLimit,
    /// As many jobs of its concurrency key run as may.
    KeyBusy,
    /// Other jobs come first; with none `ahead` it is next.
    Behind,
}

impl From<Reason> for ObstacleReason {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Unknown => Self::Unknown,
            Reason::Ended => Self::Ended,
            Reason::Running => Self::Running,
            Reason::Paused => Self::Paused,
            Reason::Waiting => Self::Waiting,
            Reason::NoWorker => Self::NoWorker,
            Reason::QueueLimit => Self::QueueLimit,
            Reason::KeyBusy => Self::KeyBusy,
            Reason::Behind => Self::Behind,
        }
    }
}

impl From<inspect::Obstacle> for Obstacle {
    fn from(obstacle: inspect::Obstacle) -> Self {
        let inspect::Obstacle { reason, detail, until, ahead } = obstacle;
        Self { reason: reason.into(), detail, until, ahead }
    }
}

impl From<Vec<inspect::Obstacle>> for Obstacles {
    fn from(obstacles: Vec<inspect::Obstacle>) -> Self {
        Self { obstacles: obstacles.into_iter().map(Into::into).collect() }
    }
}

impl Example for Obstacles {
    fn example() -> Self {
        let behind = Obstacle {
            reason: ObstacleReason::Behind,
            detail: "41 jobs are in front of it".to_owned(),
            until: None,
            ahead: Some(41),
        };
        Self { obstacles: vec![behind] }
    }
}

#[cfg(test)]
mod tests {
    use poem_openapi::types::ToJSON;

    use super::*;

    #[test]
    fn reasons_go_by_the_names_of_the_queue() {
        for reason in Reason::ALL {
            assert_eq!(ObstacleReason::from(reason).to_json(), Some(reason.as_str().into()));
        }
    }
}
