use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use poem::http::StatusCode;
use tokio::time::Instant;

use crate::{
    Answer, Face, Fault, FaultKind, PageQuery, Reply, Stats,
    gate::{Gate, Verdict},
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
}

impl Default for Settings {
    fn default() -> Self {
        Self { latency: Duration::from_millis(50)..=Duration::from_millis(200), calls_per_second: 30 }
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
}

impl Ats {
    /// A system with no calls behind it and no faults.
    pub fn new(settings: Settings) -> Self {
        let Settings { latency, calls_per_second } = settings;
        Self { shared: Arc::new(Shared { latency, gate: Mutex::new(Gate::new(calls_per_second)) }) }
    }

    /// Takes one call: stamps and counts it on arrival, refuses it at once when it is over the limit, else
    /// sleeps the latency and answers with the page or with what the faults make of it.
    ///
    /// `base_url` is scheme and host of this service as the caller sees them, such as
    /// `http://127.0.0.1:8000`; next links are built from it. The call counts even when the future is dropped
    /// half-way.
    pub async fn answer(&self, face: Face, query: PageQuery, base_url: &str) -> Answer {
        let (call, verdict) = {
            let mut gate = self.gate();
            // Read under the lock, so that the stamps are in the order of the calls.
            gate.pass(Instant::now(), face, query.page())
        };
        tracing::debug!(call, ?face, page = query.page(), ?verdict, "call");
        if let Verdict::Refuse { calls_per_second, retry_after } = verdict {
            let detail = format!("more than {calls_per_second} calls in one second");
            return Answer::Whole(Reply::too_many_requests(detail, whole_seconds(retry_after)));
        }
        let latency = self.latency_of(call);
        // The timer would make a whole millisecond of nothing.
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        match verdict {
            Verdict::Fail(kind) => misbehave(kind, face, query, base_url),
            _ => Answer::Whole(Reply::json(page(face, query, base_url))),
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

fn misbehave(kind: FaultKind, face: Face, query: PageQuery, base_url: &str) -> Answer {
    Answer::Whole(match kind {
        FaultKind::Status(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            Reply::problem(status, "this fault was asked for")
        }
        FaultKind::RateLimited { retry_after_seconds } => {
            Reply::too_many_requests("this fault was asked for", retry_after_seconds.into())
        }
        FaultKind::Hang => return Answer::Hang,
        FaultKind::CutBody => {
            let reply = Reply::json(page(face, query, base_url));
            let sent_bytes = reply.body.len() / 2;
            return Answer::CutOff { reply, sent_bytes };
        }
        FaultKind::InvalidJson => {
            let mut body = page(face, query, base_url);
            body.pop();
            body.push(b']');
            Reply::json(body)
        }
        FaultKind::RepeatItems => Reply::json(page_repeating_items(face, query, base_url)),
        FaultKind::NextLoops => Reply::json(page_looping(face, query, base_url)),
    })
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
