use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::SystemTime,
};

use poem::http::StatusCode;
use serde::Serialize;
use tokio::time::Instant;

use super::{Api, Call, description::Description, desk::Desk};
use crate::{
    Answer, Fault, FaultKind, Reply,
    faults::FaultPlan,
    limiter::{Limiter, Quota, SlidingWindow},
    misbehave::misbehave,
};

/// What one API has seen. `calls` is always the sum of the five after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ApiStats {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls answered with what was asked for.
    pub served: u64,
    /// Calls refused by the limit or by a fault that says so.
    pub rate_limited: u64,
    /// Calls without the right credential.
    pub unauthorized: u64,
    /// Calls that this API does not understand.
    pub rejected: u64,
    /// Calls that another [`Fault`] happened to.
    pub faulted: u64,
    /// The most calls that arrived within any one second, refused ones too.
    pub max_calls_in_one_second: u32,
}

/// One running API.
pub(crate) struct ApiState {
    pub(super) description: &'static Description,
    pub(super) key: String,
    pub(super) wants_credentials: bool,
    pub(super) people: u32,
    /// How many people came in at the head of the lists since; each has the next index.
    pub(super) came: u32,
    /// Those of the first people who have gone, in ascending order, and when, in milliseconds since 1970.
    pub(super) gone: BTreeMap<u64, u64>,
    /// Those who had gone and have come back.
    pub(super) back: BTreeSet<u64>,
    /// The access tokens given out, and how many calls each is still good for.
    pub(super) tokens: HashMap<String, u32>,
    pub(super) token_calls: u32,
    pub(super) faults: FaultPlan,
    /// How many signatures for files were given out, and up to which one they are void.
    pub(super) signatures: u64,
    pub(super) void_signatures: u64,
    limiter: Limiter,
    arrivals: SlidingWindow,
    stats: ApiStats,
}

impl ApiState {
    pub(crate) fn new(api: Api, wants_credentials: bool) -> Self {
        let description = api.description();
        Self {
            description,
            key: String::from("mock-key"),
            wants_credentials,
            people: 250,
            came: 0,
            gone: BTreeMap::new(),
            back: BTreeSet::new(),
            tokens: HashMap::new(),
            token_calls: 100,
            faults: FaultPlan::default(),
            signatures: 0,
            void_signatures: 0,
            limiter: Limiter::within(description.calls, description.window),
            arrivals: SlidingWindow::default(),
            stats: ApiStats::default(),
        }
    }

    /// Stamps and counts a call and says what becomes of it; also its number, from 1. `now` must not go
    /// backwards.
    pub(crate) fn take(&mut self, now: Instant, call: &Call) -> (u64, Answer) {
        self.stats.calls += 1;
        let in_this_second = self.arrivals.add(now);
        self.stats.max_calls_in_one_second = self.stats.max_calls_in_one_second.max(in_this_second);
        let accepted = self.limiter.accept(now);
        let quota = self.limiter.quota(now);
        let answer = match accepted {
            Ok(()) => self.serve(call, &quota),
            Err(wait) => {
                self.stats.rate_limited += 1;
                let error = (self.description.error)(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded");
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                let retry_after_seconds = self.description.retry_after.then_some(seconds);
                let reply = Reply { retry_after_seconds, ..error };
                Answer::Whole((self.description.with_quota)(reply, &quota))
            }
        };
        (self.stats.calls, answer)
    }

    fn serve(&mut self, call: &Call, quota: &Quota) -> Answer {
        let description = self.description;
        let mut desk = Desk::new(self, call);
        let result = (description.answer)(&mut desk);
        let (fault, unauthorized) = (desk.fault, desk.unauthorized);
        let counter = match (&result, fault) {
            _ if unauthorized => &mut self.stats.unauthorized,
            (_, Some(FaultKind::RateLimited { .. } | FaultKind::RateLimitedUntil { .. })) => {
                &mut self.stats.rate_limited
            }
            (_, Some(_)) => &mut self.stats.faulted,
            (Ok(_), None) => &mut self.stats.served,
            (Err(_), None) => &mut self.stats.rejected,
        };
        *counter += 1;
        let reply = (description.with_quota)(result.unwrap_or_else(|refusal| refusal), quota);
        match fault {
            Some(kind) => misbehave(kind, reply, description.error, &call.url),
            None => Answer::Whole(reply),
        }
    }

    pub(crate) fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = FaultPlan::new(faults);
    }

    pub(crate) fn set_calls(&mut self, calls: u32) {
        self.limiter.set_calls_per_second(calls);
    }

    pub(crate) fn set_people(&mut self, people: u32) {
        self.people = people;
        self.came = 0;
        self.gone.clear();
        self.back.clear();
    }

    pub(crate) fn let_go(&mut self, index: u64) {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.gone.insert(index, since_1970.as_millis() as u64);
        self.back.remove(&index);
    }

    pub(crate) fn let_back(&mut self, index: u64) {
        if self.gone.remove(&index).is_some() {
            self.back.insert(index);
        }
    }

    pub(crate) fn set_void_signatures(&mut self, up_to: u64) {
        self.void_signatures = up_to;
    }

    pub(crate) fn set_token_calls(&mut self, calls: u32) {
        self.token_calls = calls;
    }

    pub(crate) fn rotate(&mut self, key: &str) {
        key.clone_into(&mut self.key);
        self.tokens.values_mut().for_each(|calls_left| *calls_left = 0);
    }

    pub(crate) fn stats(&self) -> ApiStats {
        self.stats
    }
}
