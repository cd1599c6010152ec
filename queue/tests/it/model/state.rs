//! The model: what the queue promises, in plain Rust, without a database, a clock or a worker.
//!
//! It leaves open what the promises leave open: which of the waiting jobs gets a slot.

use std::collections::{BTreeMap, BTreeSet};

use resume_queue::{Changed, Existing, GroupId, Job, JobId, JobState};

use super::world::Finish;
use crate::support::{Watched, Work};

/// How many jobs of a kind the worker runs at once.
pub(super) const SLOTS: usize = 2;

/// The kinds of jobs; the last two are follow-ups, and no worker takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Work,
    /// Two attempts, and a follow-up when it is discarded.
    Watched,
    /// Tells of a discarded job.
    Mourn,
    /// Follows a group.
    Finish,
}

impl Kind {
    pub(super) const SERVED: [Self; 2] = [Self::Work, Self::Watched];
    const ALL: [Self; 4] = [Self::Work, Self::Watched, Self::Mourn, Self::Finish];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Work => Work::KIND,
            Self::Watched => Watched::KIND,
            Self::Mourn => "mourn",
            Self::Finish => Finish::KIND,
        }
    }

    fn max_attempts(self) -> i32 {
        match self {
            Self::Work => 3,
            Self::Watched => 2,
            Self::Mourn => 25,
            Self::Finish => 10,
        }
    }

    fn of_name(name: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap()
    }
}

/// A job to enqueue.
#[derive(Debug, Clone)]
pub(super) struct New {
    pub(super) kind: Kind,
    pub(super) delayed: bool,
    pub(super) priority: i16,
    pub(super) key: Option<u8>,
}

/// How the handler ends an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Ok,
    CompleteIn,
    Fail,
    Discard,
    Snooze,
    SnoozeAtOnce,
}

/// What there is to see of a job, in the model and in its row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    pub(super) kind: Kind,
    pub(super) state: JobState,
    pub(super) attempt: i32,
    pub(super) max_attempts: i32,
    /// Claims so far.
    pub(super) fence: i32,
    pub(super) failures: i32,
    pub(super) group: Option<GroupId>,
    pub(super) key: Option<u8>,
    /// The job or the group that a follow-up follows.
    pub(super) subject: Option<i64>,
}

impl Seen {
    fn new(kind: Kind, state: JobState) -> Self {
        let max_attempts = kind.max_attempts();
        let (attempt, fence, failures) = (0, 0, 0);
        Self { kind, state, attempt, max_attempts, fence, failures, group: None, key: None, subject: None }
    }
}

/// A row of either table.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) id: JobId,
    pub(super) seen: Seen,
}

impl Row {
    pub(super) fn kind(name: &str) -> Kind {
        Kind::of_name(name)
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    jobs: BTreeMap<JobId, Seen>,
    /// Waiting jobs whose time has come.
    due: BTreeSet<JobId>,
    /// Follow-ups whose ids are not known yet.
    coming: Vec<Seen>,
    /// Who took a key last.
    keys: BTreeMap<(Kind, u8), JobId>,
    groups: BTreeMap<GroupId, Group>,
    paused: BTreeSet<Kind>,
    limited: BTreeSet<Kind>,
    worker_is_up: bool,
}

#[derive(Debug, Clone)]
struct Group {
    number: i64,
    is_finished: bool,
}

impl Model {
    /// The `n`th of the jobs that are in these states.
    pub(super) fn pick(&self, n: u8, states: &[JobState]) -> Option<JobId> {
        let chosen: Vec<JobId> =
            self.jobs.iter().filter(|(_, job)| states.contains(&job.state)).map(|(id, _)| *id).collect();
        chosen.get(usize::from(n).checked_rem(chosen.len())?).copied()
    }

    pub(super) fn worker_is_up(&self) -> bool {
        self.worker_is_up
    }

    pub(super) fn kind_of(&self, id: JobId) -> Kind {
        self.jobs[&id].kind
    }

    /// The live job that has the key of a new one.
    pub(super) fn holder(&self, new: &New) -> Option<Existing> {
        let id = *self.keys.get(&(new.kind, new.key?))?;
        let state = self.jobs[&id].state;
        (!state.is_final()).then_some(Existing { id, state })
    }

    pub(super) fn insert(&mut self, id: JobId, new: &New, group: Option<GroupId>) {
        let state = if new.delayed { JobState::Scheduled } else { JobState::Available };
        self.jobs.insert(id, Seen { key: new.key, group, ..Seen::new(new.kind, state) });
        if let Some(key) = new.key {
            self.keys.insert((new.kind, key), id);
        }
    }

    pub(super) fn insert_group(&mut self, id: GroupId, number: i64) {
        self.groups.insert(id, Group { number, is_finished: false });
    }

    /// Ends the attempt of a running job.
    pub(super) fn end_attempt(&mut self, id: JobId, end: End) {
        let job = self.job(id);
        let is_last = job.attempt >= job.max_attempts;
        match end {
            End::Ok | End::CompleteIn => self.end(id, JobState::Completed),
            End::Fail if !is_last => {
                job.failures += 1;
                job.state = JobState::Retryable;
            }
            End::Fail | End::Discard => {
                job.failures += 1;
                self.end(id, JobState::Discarded);
            }
            End::Snooze => {
                job.attempt -= 1;
                job.state = JobState::Scheduled;
            }
            End::SnoozeAtOnce => self.hand_back(id),
        }
    }

    pub(super) fn end_by_request(&mut self, id: JobId, state: JobState) -> Changed {
        let job = self.job(id);
        if job.state.is_final() {
            return Changed::Refused(job.state);
        }
        job.failures += 1;
        self.end(id, state);
        Changed::Done
    }

    pub(super) fn retry(&mut self, id: JobId) -> Changed {
        let job = self.jobs[&id].clone();
        match job.state {
            JobState::Available | JobState::Running | JobState::Completed => Changed::Refused(job.state),
            JobState::Scheduled | JobState::Retryable => {
                self.due.remove(&id);
                self.job(id).state = JobState::Available;
                Changed::Done
            }
            JobState::Cancelled | JobState::Discarded => self.revive(id, job),
        }
    }

    fn revive(&mut self, id: JobId, job: Seen) -> Changed {
        if let Some(key) = job.key {
            let holder = self.keys.insert((job.kind, key), id);
            if let Some(other) = holder.filter(|other| *other != id && !self.jobs[other].state.is_final()) {
                self.keys.insert((job.kind, key), other);
                return Changed::Conflict;
            }
        }
        let group = job.group.filter(|group| !self.groups[group].is_finished);
        let max_attempts = job.max_attempts.max(job.attempt + 1);
        self.jobs.insert(id, Seen { state: JobState::Available, group, max_attempts, ..job });
        Changed::Done
    }

    pub(super) fn make_due(&mut self, id: JobId) {
        self.due.insert(id);
    }

    pub(super) fn pause(&mut self, kind: Kind) {
        self.paused.insert(kind);
    }

    pub(super) fn unpause(&mut self, kind: Kind) {
        self.paused.remove(&kind);
    }

    pub(super) fn limit(&mut self, kind: Kind, limited: bool) {
        if limited {
            self.limited.insert(kind);
        } else {
            self.limited.remove(&kind);
        }
    }

    pub(super) fn start(&mut self) {
        self.worker_is_up = true;
    }

    pub(super) fn shut_down(&mut self) {
        self.worker_is_up = false;
        for id in self.running() {
            self.hand_back(id);
        }
    }

    /// The worker dies and its jobs are rescued, of which one was `asked` to end.
    pub(super) fn crash(&mut self, asked: Option<(JobId, JobState)>) {
        self.worker_is_up = false;
        for id in self.running() {
            let job = self.job(id);
            job.failures += 1;
            let is_last = job.attempt >= job.max_attempts;
            match asked {
                Some((other, state)) if other == id => self.end(id, state),
                _ if is_last => self.end(id, JobState::Discarded),
                _ => job.state = JobState::Available,
            }
        }
    }

    fn running(&self) -> Vec<JobId> {
        let running = self.jobs.iter().filter(|(_, job)| job.state == JobState::Running);
        running.map(|(id, _)| *id).collect()
    }

    fn hand_back(&mut self, id: JobId) {
        let job = self.job(id);
        job.attempt -= 1;
        job.state = JobState::Available;
    }

    fn end(&mut self, id: JobId, state: JobState) {
        self.bury(id, state);
        if let Some(group) = self.jobs[&id].group {
            self.finish(group);
        }
    }

    fn bury(&mut self, id: JobId, state: JobState) {
        self.due.remove(&id);
        let job = self.job(id);
        job.state = state;
        let group = job.group;
        if job.kind == Kind::Watched && state != JobState::Completed {
            let told = Seen { subject: Some(id), group, ..Seen::new(Kind::Mourn, JobState::Available) };
            self.coming.push(told);
        }
    }

    /// Expects the follow-up of a group that has no live job any more.
    fn finish(&mut self, group: GroupId) {
        let mut all = self.jobs.values().chain(&self.coming);
        if all.any(|job| job.group == Some(group) && !job.state.is_final()) {
            return;
        }
        let Some(Group { number, is_finished: is_finished @ false }) = self.groups.get_mut(&group) else {
            return;
        };
        *is_finished = true;
        let subject = Some(*number);
        self.coming.push(Seen { subject, ..Seen::new(Kind::Finish, JobState::Available) });
    }

    fn job(&mut self, id: JobId) -> &mut Seen {
        self.jobs.get_mut(&id).unwrap()
    }

    /// The model after the worker has filled its slots as the rows say; an error where they differ, or may
    /// still move.
    pub(super) fn settled(&self, rows: &[Row]) -> Result<Self, String> {
        let mut model = self.clone();
        let mut ids = BTreeSet::new();
        for row in rows {
            if !ids.insert(row.id) {
                return Err(format!("the job {} is in both tables", row.id));
            }
            model.absorb(row)?;
        }
        if let Some(id) = model.jobs.keys().find(|id| !ids.contains(id)) {
            return Err(format!("the job {id} is lost"));
        }
        if let Some(coming) = model.coming.first() {
            return Err(format!("no follow-up {coming:?}"));
        }
        model.check_keys()?;
        for kind in Kind::SERVED {
            model.check_slots(kind)?;
        }
        Ok(model)
    }

    fn absorb(&mut self, row: &Row) -> Result<(), String> {
        let (id, seen) = (row.id, &row.seen);
        let Some(job) = self.jobs.get(&id) else {
            let Some(at) = self.coming.iter().position(|coming| coming == seen) else {
                return Err(format!("the job {id} comes from nowhere: {seen:?}"));
            };
            self.jobs.insert(id, self.coming.remove(at));
            return Ok(());
        };
        let mut job = job.clone();
        if seen.state == JobState::Running && self.is_claimable(id) {
            self.due.remove(&id);
            job.state = JobState::Running;
            job.attempt += 1;
            job.fence += 1;
        } else if seen.state == JobState::Available && self.due.contains(&id) {
            // A claim makes all due jobs available, and takes as many as may run.
            self.due.remove(&id);
            job.state = JobState::Available;
        }
        if job != *seen {
            return Err(format!("the job {id} should be {job:?}, is {seen:?}"));
        }
        self.jobs.insert(id, job);
        Ok(())
    }

    fn is_claimable(&self, id: JobId) -> bool {
        let job = &self.jobs[&id];
        let is_due = job.state == JobState::Available || self.due.contains(&id);
        is_due && self.worker_is_up && Kind::SERVED.contains(&job.kind) && !self.paused.contains(&job.kind)
    }

    fn check_keys(&self) -> Result<(), String> {
        let live = self.jobs.values().filter(|job| !job.state.is_final());
        let mut taken = BTreeSet::new();
        for job in live {
            if job.key.is_some_and(|key| !taken.insert((job.kind, key))) {
                return Err(format!("another live job has the key of {job:?}"));
            }
        }
        Ok(())
    }

    /// Whether the worker runs as many jobs as it should.
    fn check_slots(&self, kind: Kind) -> Result<(), String> {
        let running = self.running().into_iter().filter(|id| self.kind_of(*id) == kind).count();
        let slots = if self.limited.contains(&kind) { 1 } else { SLOTS };
        let waits = self.jobs.keys().any(|id| self.kind_of(*id) == kind && self.is_claimable(*id));
        match running {
            _ if running > SLOTS => Err(format!("{running} jobs {kind:?} run")),
            _ if running < slots && waits => Err(format!("a slot for {kind:?} is free, and a job waits")),
            _ => Ok(()),
        }
    }
}
