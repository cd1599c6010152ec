use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use leaky_bucket::RateLimiter;
use tokio::time::{Instant, sleep_until};

/// How much longer than a second the window is in which we stay below the limit. Calls do not arrive as evenly as they
/// leave: this much later than others one may arrive without the source seeing one call too many. It costs 2.4 % of
/// the rate: 29.3 of 30 calls a second are left.
const MARGIN: Duration = Duration::from_millis(25);

/// The longest silence that a job sits out in its slot. Sources that refuse calls mostly ask for a second.
const SILENCE_WAITED_FOR: Duration = Duration::from_millis(1500);

/// Keeps the calls of this process to one source below its limit.
///
/// A leaky bucket spaces them evenly, and a window over the last calls makes sure that no second, wherever it begins,
/// sees more than the limit: the bucket alone lets a call go early after a pause.
#[derive(Debug)]
pub(crate) struct Pacer {
    calls_per_second: u32,
    spacing: RateLimiter,
    /// Held by the one whose turn it is, so that calls leave in the order of asking.
    turn: tokio::sync::Mutex<()>,
    window: Mutex<Window>,
}

#[derive(Debug)]
struct Window {
    /// When the last calls left, the oldest first; at most as many as the limit.
    departures: VecDeque<Instant>,
    /// The source asked for silence until then.
    silent_until: Instant,
}

impl Pacer {
    pub(crate) fn new(calls_per_second: u32) -> Self {
        // The bucket counts in whole milliseconds and wakes up to one late, so it gets one less and the window decides.
        let spacing = (1000 / u64::from(calls_per_second)).saturating_sub(1).max(1);
        Self {
            calls_per_second,
            spacing: RateLimiter::builder()
                .initial(1)
                .max(1)
                .refill(1)
                .interval(Duration::from_millis(spacing))
                .build(),
            turn: tokio::sync::Mutex::default(),
            window: Mutex::new(Window { departures: VecDeque::new(), silent_until: Instant::now() }),
        }
    }

    pub(crate) fn calls_per_second(&self) -> u32 {
        self.calls_per_second
    }

    /// Waits for leave to make one call; in the order of asking. Gives the time that is left when the source has asked
    /// for a longer silence than it is worth holding a slot for.
    pub(crate) async fn permit(&self) -> Result<(), Duration> {
        self.spacing.acquire_one().await;
        let _turn = self.turn.lock().await;
        // Looks again after each wait: the source may have asked for silence in the meantime.
        while let Err(wait_until) = self.depart() {
            let silence = self.window().silent_until.saturating_duration_since(Instant::now());
            if silence > SILENCE_WAITED_FOR {
                return Err(silence);
            }
            sleep_until(wait_until).await;
        }
        Ok(())
    }

    /// Counts a call that leaves now, or says when to ask again.
    fn depart(&self) -> Result<(), Instant> {
        let mut window = self.window();
        let now = Instant::now();
        if now < window.silent_until {
            return Err(window.silent_until);
        }
        if window.departures.len() >= self.calls_per_second as usize {
            if let Some(free_at) =
                window.departures.front().map(|oldest| *oldest + Duration::from_secs(1) + MARGIN)
                && now < free_at
            {
                return Err(free_at);
            }
            window.departures.pop_front();
        }
        window.departures.push_back(now);
        Ok(())
    }

    /// Lets nobody call for this long: the source has asked for it.
    pub(crate) fn hold(&self, silence: Duration) {
        let until = Instant::now() + silence;
        let mut window = self.window();
        window.silent_until = window.silent_until.max(until);
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Nothing panics while it is locked, and if it did, a call too few in the window would be all.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// The times of `count` calls made as fast as the pacer lets them go.
    async fn departures(pacer: &Pacer, count: usize) -> Vec<Instant> {
        let mut times = Vec::new();
        for _ in 0..count {
            pacer.permit().await.unwrap();
            times.push(Instant::now());
        }
        times
    }

    fn most_in_a_second(times: &[Instant]) -> usize {
        let in_second_from = |from: &Instant| {
            times.iter().filter(|t| (*from..*from + Duration::from_secs(1)).contains(t)).count()
        };
        times.iter().map(in_second_from).max().unwrap_or(0)
    }

    #[tokio::test(start_paused = true)]
    async fn stays_below_the_limit_and_comes_close_to_it() {
        for limit in [1, 7, 30, 100] {
            let pacer = Pacer::new(limit);
            let start = Instant::now();
            let times = departures(&pacer, limit as usize * 20).await;
            assert!(most_in_a_second(&times) <= limit as usize, "limit {limit}");
            let rate = times.len() as f64 / start.elapsed().as_secs_f64();
            assert!(rate >= f64::from(limit) * 29.0 / 30.0, "limit {limit}: {rate} calls/s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_saves_nothing_up() {
        let pacer = Pacer::new(30);
        let mut times = departures(&pacer, 45).await;
        tokio::time::advance(Duration::from_millis(700)).await;
        times.extend(departures(&pacer, 90).await);
        assert!(most_in_a_second(&times) <= 30);
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_silent_when_asked_to() {
        let pacer = Pacer::new(30);
        departures(&pacer, 3).await;
        pacer.hold(Duration::from_secs(5));
        pacer.hold(Duration::from_secs(1));
        let left = pacer.permit().await.unwrap_err();
        assert!(
            left > Duration::from_secs(4) && left <= Duration::from_secs(5),
            "{left:?}: a slot is not held for that"
        );
        tokio::time::advance(Duration::from_secs(4)).await;
        let before = Instant::now();
        pacer.permit().await.unwrap();
        assert!(before.elapsed() >= Duration::from_millis(900), "the last second is waited for");
    }

    #[tokio::test(start_paused = true)]
    async fn silence_also_holds_back_those_that_wait_already() {
        let pacer = Arc::new(Pacer::new(2));
        departures(&pacer, 2).await;
        let before = Instant::now();
        let waiting = tokio::spawn({
            let pacer = pacer.clone();
            async move { departures(&pacer, 2).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        pacer.hold(Duration::from_millis(1400));
        let times = waiting.await.unwrap();
        assert!(times.iter().all(|time| *time >= before + Duration::from_millis(1400)), "{times:?}");
    }
}
