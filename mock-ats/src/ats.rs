use std::{
    ops::RangeInclusive,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    Answer, Face, Fault, FaultKind, PageQuery, Reply, Stats,
    apis::{Api, ApiState, ApiStats, Call},
    gate::{Gate, Verdict},
    limiter::Quota,
    misbehave::misbehave,
    page::{page, page_looping, page_repeating_items},
    random::{Random, Use},
};

/// How an [`Ats`] behaves from the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an accepted call takes; drawn evenly from this range, in whole microseconds. 50 to 200 ms by
    /// default.
    pub latency: RangeInclusive<Duration>,
    /// How many calls are accepted in any one second; 30 by default, as the API limit of the original. 0
    /// refuses all.
    pub calls_per_second: u32,
    /// Whether each [`Api`] wants its credential; true by default. Without, any call is admitted, also one
    /// that shows none.
    pub wants_credentials: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(50)..=Duration::from_millis(200),
            calls_per_second: 30,
            wants_credentials: true,
        }
    }
}

impl Settings {
    /// The default limit, but answers come at once: for tests that are not about time.
    pub fn without_latency() -> Self {
        Self { latency: Duration::ZERO..=Duration::ZERO, ..Self::default() }
    }
}

/// One running applicant tracking system: its limit, its faults and its counters. Cloning gives another
/// handle to the same one.
#[derive(Clone)]
pub struct Ats {
    shared: Arc<Shared>,
}

struct Shared {
    latency: RangeInclusive<Duration>,
    gate: Mutex<Gate>,
    limit_headers: AtomicBool,
    apis: [Mutex<ApiState>; Api::ALL.len()],
}

impl Ats {
    /// A system with no calls behind it and no faults.
    pub fn new(settings: Settings) -> Self {
        let Settings { latency, calls_per_second, wants_credentials } = settings;
        let apis = Api::ALL.map(|api| Mutex::new(ApiState::new(api, wants_credentials)));
        let gate = Mutex::new(Gate::new(calls_per_second));
        Self { shared: Arc::new(Shared { latency, gate, limit_headers: AtomicBool::new(false), apis }) }
    }

    /// Takes one call: stamps and counts it on arrival, refuses it at once when it is over the limit, else
    /// sleeps the latency and answers with the page or with what the faults make of it.
    ///
    /// `base_url` is scheme and host of this service as the caller sees them, such as
    /// `http://127.0.0.1:8000`; next links are built from it. The call counts even when the future is dropped
    /// half-way.
    pub async fn answer(&self, face: Face, query: PageQuery, base_url: &str) -> Answer {
        let (call, verdict, quota) = {
            let mut gate = self.gate();
            // Read under the lock, so that the stamps are in the order of the calls.
            let now = Instant::now();
            let (call, verdict) = gate.pass(now, face, query.page());
            (call, verdict, gate.quota(now))
        };
        tracing::debug!(call, ?face, page = query.page(), ?verdict, "call");
        if let Verdict::Refuse { calls_per_second, retry_after } = verdict {
            let detail = format!("more than {calls_per_second} calls in one second");
            let refusal = Reply::too_many_requests(detail, whole_seconds(retry_after));
            return self.telling(quota, Answer::Whole(refusal));
        }
        let latency = self.latency_of(call);
        // The timer would make a whole millisecond of nothing.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let answer = match verdict {
            Verdict::Fail(kind) => broken(kind, face, query, base_url),
            _ => Answer::Whole(Reply::json(page(face, query, base_url))),
        };
        self.telling(quota, answer)
    }

    /// Whether every answer of both faces tells the limit, in the headers `RateLimit-Policy` and `RateLimit`
    /// of draft-ietf-httpapi-ratelimit-headers. Off at first.
    pub fn set_limit_headers(&self, tell: bool) {
        self.shared.limit_headers.store(tell, Ordering::Relaxed);
    }

    fn telling(&self, quota: Quota, answer: Answer) -> Answer {
        if !self.shared.limit_headers.load(Ordering::Relaxed) {
            return answer;
        }
        let Quota { limit, remaining, reset_after } = quota;
        let told = |reply: Reply| {
            let now = format!(r#""default";r={remaining};t={}"#, whole_seconds(reset_after));
            reply.with("ratelimit-policy", format!(r#""default";q={limit};w=1"#)).with("ratelimit", now)
        };
        match answer {
            Answer::Whole(reply) => Answer::Whole(told(reply)),
            Answer::CutOff { reply, sent_bytes } => Answer::CutOff { reply: told(reply), sent_bytes },
            Answer::Hang => Answer::Hang,
        }
    }

    /// Replaces the faults, and forgets how often the old ones happened. An empty list ends all misbehaviour.
    pub fn set_faults(&self, faults: impl Into<Vec<Fault>>) {
        self.gate().set_faults(faults.into());
    }

    /// Changes the limit from the next call on. Calls accepted within the last second count towards it.
    pub fn set_calls_per_second(&self, calls_per_second: u32) {
        self.gate().set_calls_per_second(calls_per_second);
    }

    /// The numbers so far, consistent with each other.
    pub fn stats(&self) -> Stats {
        self.gate().stats()
    }

    /// Takes one call of an API: as [`Ats::answer`], with that API's own limit, faults and counters.
    pub async fn answer_call(&self, api: Api, call: &Call) -> Answer {
        let (number, answer) = self.api(api).take(Instant::now(), call);
        let latency = self.latency_of(number);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        answer
    }

    /// Replaces the faults of one API; otherwise as [`Ats::set_faults`].
    pub fn set_api_faults(&self, api: Api, faults: impl Into<Vec<Fault>>) {
        self.api(api).set_faults(faults.into());
    }

    /// Changes how many calls one API accepts in its window, from the next call on.
    pub fn set_api_calls(&self, api: Api, calls: u32) {
        self.api(api).set_calls(calls);
    }

    /// Changes how many people the lists of one API have; 250 by default.
    pub fn set_people(&self, api: Api, people: u32) {
        self.api(api).set_people(people);
    }

    /// Has one of the people deleted, by their index from 0. A list shows them no more, or flagged where the
    /// API can be asked to.
    pub fn let_go(&self, api: Api, index: u64) {
        self.api(api).let_go(index);
    }

    /// Has somebody come back who was deleted: every list shows them as changed, whatever time it is asked
    /// about.
    pub fn let_back(&self, api: Api, index: u64) {
        self.api(api).let_back(index);
    }

    /// Makes the first so many signatures of the addresses of files void: each answer of a list gives out
    /// one. 0 at first.
    pub fn set_void_signatures(&self, api: Api, up_to: u64) {
        self.api(api).set_void_signatures(up_to);
    }

    /// Changes how many calls an access token of this API is good for, from the next token on; 100 by
    /// default.
    pub fn set_token_calls(&self, api: Api, calls: u32) {
        self.api(api).set_token_calls(calls);
    }

    /// From the next call on, every API accepts this credential only; `mock-key` at first.
    pub fn rotate_credentials(&self, new: &str) {
        Api::ALL.into_iter().for_each(|api| self.api(api).rotate(new));
    }

    /// The numbers of one API so far, consistent with each other.
    pub fn api_stats(&self, api: Api) -> ApiStats {
        self.api(api).stats()
    }

    fn api(&self, api: Api) -> MutexGuard<'_, ApiState> {
        self.shared.apis[api as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // Nothing panics while it holds the gate, and if it did, counting on would do no harm.
        self.shared.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for the same call number in every run.
    fn latency_of(&self, call: u64) -> Duration {
        let shortest = *self.shared.latency.start();
        let spread = self.shared.latency.end().saturating_sub(shortest).as_micros();
        let spread = u32::try_from(spread).unwrap_or(u32::MAX - 1);
        shortest + Duration::from_micros(Random::new(Use::Latency, 0, call).below(spread + 1).into())
    }
}

/// The page as a fault leaves it.
fn broken(kind: FaultKind, face: Face, query: PageQuery, base_url: &str) -> Answer {
    let body = match kind {
        FaultKind::RepeatItems => page_repeating_items(face, query, base_url),
        FaultKind::NextLoops => page_looping(face, query, base_url),
        _ => page(face, query, base_url),
    };
    let url = format!("{}?{}", face.path(), query.to_query_string(query.page()));
    misbehave(kind, Reply::json(body), |status, detail| Reply::problem(status, detail), &url)
}

/// Rounded up: who waits that long is not refused again.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        let seconds = |nanos| whole_seconds(Duration::from_nanos(nanos));
        assert_eq!([seconds(1), seconds(1_000_000_000), seconds(1_000_000_001)], [1, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn latency_fills_its_range_and_stays_in_it() {
        let ats = Ats::new(Settings { calls_per_second: u32::MAX, ..Settings::default() });
        let mut waits = Vec::new();
        for _ in 0..200 {
            let start = Instant::now();
            ats.answer(Face::TestData, PageQuery::default(), "http://h").await;
            waits.push(start.elapsed());
        }
        let (shortest, longest) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!((50..60).contains(&shortest.as_millis()), "{shortest:?}");
        // The timer rounds up to the next millisecond.
        assert!((190..=201).contains(&longest.as_millis()), "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_stamped_on_arrival_and_refused_at_once() {
        let ats = Ats::new(Settings { calls_per_second: 1, ..Settings::default() });
        let start = Instant::now();
        let slow = ats.answer(Face::TestData, PageQuery::default(), "http://h");
        let refused = ats.answer(Face::JsonResumes, PageQuery::default(), "http://h");
        let (_, refused) = tokio::join!(slow, async { (refused.await, start.elapsed()) });
        let (Answer::Whole(reply), after) = refused else { panic!("{refused:?}") };
        assert_eq!((reply.status.as_u16(), reply.retry_after_seconds), (429, Some(1)));
        assert_eq!(
            after,
            Duration::ZERO,
            "the limit is one for both faces, and does not wait for the latency"
        );
    }
}
