//! What a process knows of the shares in its slots, where the slots of a queue are shared among the
//! concurrency keys.

use std::collections::HashMap;

use crate::{GroupId, claim::Claimed};

/// So many keys are remembered with the group that had the last turn. Of one that is forgotten the first
/// group is the next.
const REMEMBERED_MAX: usize = 1000;

/// What a claim is told of the slots in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Holds {
    pub(crate) keys: Vec<String>,
    /// How many jobs of each of the keys are held.
    pub(crate) held: Vec<i32>,
    /// The group of each of the keys that had the last turn.
    pub(crate) behind: Vec<Option<GroupId>>,
}

/// Which group of each concurrency key had the last turn; 0 for the jobs that are in none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(HashMap<String, GroupId>);

impl Turns {
    /// With how many jobs of which keys are held.
    pub(crate) fn holds(&self, mut held: HashMap<String, i32>) -> Holds {
        for key in self.0.keys() {
            held.entry(key.clone()).or_default();
        }
        let behind = held.keys().map(|key| self.0.get(key).copied()).collect();
        let (keys, held) = held.into_iter().unzip();
        Holds { keys, held, behind }
    }

    /// Notes who had the last turn of each key in a claim. It goes around: from the group behind the one
    /// before to the highest, then from the first. So of those that had most turns it is the one that comes
    /// last on the way.
    pub(crate) fn note(&mut self, claimed: &[Claimed]) {
        let mut turns: HashMap<(&str, GroupId), usize> = HashMap::new();
        for job in claimed {
            if let Some(key) = job.concurrency_key.as_deref() {
                *turns.entry((key, job.group_id.unwrap_or(0))).or_default() += 1;
            }
        }
        let mut last: HashMap<&str, (usize, bool, GroupId)> = HashMap::new();
        for ((key, group), count) in turns {
            let is_around = self.0.get(key).is_some_and(|before| group <= *before);
            let last = last.entry(key).or_default();
            *last = (*last).max((count, is_around, group));
        }
        let last: Vec<_> = last.into_iter().map(|(key, (.., group))| (key.to_owned(), group)).collect();
        self.0.extend(last);
        if self.0.len() > REMEMBERED_MAX {
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn of_groups(groups: &[GroupId]) -> Vec<Claimed> {
        let job = |group: &GroupId| Claimed {
            id: 0,
            fence: 1,
            attempt: 1,
            max_attempts: 1,
            priority: 0,
            kind: String::new(),
            args: String::new(),
            group_id: Some(*group),
            concurrency_key: Some("source".to_owned()),
            traceparent: None,
            turn: DateTime::UNIX_EPOCH,
            waited_s: 0.0,
        };
        groups.iter().map(job).collect()
    }

    #[test]
    fn the_last_turn_is_known_however_the_jobs_are_ordered() {
        let mut turns = Turns::default();
        for (groups, last) in
            [(&[1, 2, 3][..], 3), (&[4, 1], 1), (&[2, 3], 3), (&[1, 1, 2, 3, 4, 4], 1), (&[2], 2)]
        {
            turns.note(&of_groups(groups));
            let holds = turns.holds(HashMap::from([("source".to_owned(), 5), ("other".to_owned(), 1)]));
            let source = holds.keys.iter().position(|key| key == "source").unwrap();
            assert_eq!((holds.held[source], holds.behind[source]), (5, Some(last)), "{groups:?}");
            assert_eq!((holds.held[1 - source], holds.behind[1 - source]), (1, None));
        }
    }
}
