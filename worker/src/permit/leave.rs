use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use resume_connector::announced;
use resume_core::call_limit::{self, Announced, CallEnd, Ending, Permit, Void};
use tokio::{runtime::Handle, time::Instant};

use super::pacer::{Allowance, Desk, LOOK_MAX};

/// How late a call may leave. A permit whose time is longer past is given up: the call could come too close
/// to those after it.
const LATE_MAX: Duration = Duration::from_millis(8);

/// Leave to make one call, in the hands of its caller, who has to [`end`](Leave::end) it. Dropped before
/// that, it is noted in the ledger as missed or abandoned.
#[derive(Debug)]
pub(crate) struct Leave {
    desk: Arc<Desk>,
    permit: Permit,
    /// When it was asked for.
    asked: Instant,
    /// Its time.
    at: Instant,
    allowance: Allowance,
    left: Option<Instant>,
    is_settled: bool,
}

/// What there is to tell of a call that is over.
#[derive(Debug)]
pub(crate) struct Finished<'a> {
    /// The status of the answer, if one came.
    pub(crate) status: Option<u16>,
    /// Its headers.
    pub(crate) headers: &'a HeaderMap,
    /// Whether it refuses the call as one too many.
    pub(crate) is_refused: bool,
    /// Whether the answer did not come, or not to its end.
    pub(crate) is_broken: bool,
    /// Why it brought no page.
    pub(crate) code: Option<&'a str>,
    /// How many bytes of its body came.
    pub(crate) bytes: u64,
    /// What its answer is about.
    pub(crate) about: About,
}

/// What the answer to a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// The source.
    Source,
    /// A token that was kept for too long. The next call has another one.
    OldToken,
    /// An address that lasts for a while: when it is forbidden it has expired, and the next call has another
    /// one.
    Address,
    /// Another host, whose answer says nothing of the source.
    Elsewhere,
}

/// What the end of a call means for those that come after it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ended {
    /// When to look again whether the source may be called, if it refused the call as one too many.
    pub(crate) refused_for: Option<Duration>,
    /// Whether the source is not called for now, because its calls fail.
    pub(crate) is_circuit_open: bool,
}

impl Leave {
    pub(super) fn new(
        desk: Arc<Desk>,
        permit: Permit,
        (asked, at): (Instant, Instant),
        allowance: Allowance,
    ) -> Self {
        Self { desk, permit, asked, at, allowance, left: None, is_settled: false }
    }

    /// When the call may leave, by the database's clock.
    pub(crate) fn departs_at(&self) -> DateTime<Utc> {
        self.permit.departs_at
    }

    /// Waits for the permit's time. False when it is not to be used, because it is too late or the source has
    /// asked for silence meanwhile.
    pub(super) async fn depart(&mut self) -> bool {
        tokio::time::sleep_until(self.at).await;
        let now = Instant::now();
        let late = now.saturating_duration_since(self.at);
        if late > LATE_MAX || self.desk.is_silent_for(self.asked) {
            tracing::debug!(source = self.desk.source, ?late, "a permit was missed");
            return false;
        }
        self.left = Some(now);
        true
    }

    /// Tells the fleet what became of the call. While the database is away the end is not noted, which costs
    /// nothing but evidence.
    pub(crate) async fn end(mut self, finished: Finished<'_>) -> Ended {
        let left = self.left.unwrap_or(self.at);
        let announced = self.announced(&finished);
        let Some(ending) = ending(&finished) else {
            // Nothing has left.
            self.left = None;
            return Ended::default();
        };
        let end = CallEnd {
            late: left.saturating_duration_since(self.at),
            took: left.elapsed(),
            status: finished.status,
            code: finished.code.map(str::to_owned),
            bytes: finished.bytes,
            ending,
            announced,
        };
        // What was asked of this process it knows, whether or not the others can be told.
        let silence = call_limit::silence_of(&self.allowance.limits, &end);
        let silent_until = silence.map(|silence| Instant::now() + silence);
        self.desk.call_ended(silent_until);
        self.is_settled = true;
        let (desk, permit) = (self.desk.clone(), self.permit);
        let Allowance { limits, .. } = std::mem::take(&mut self.allowance);
        // In a task of its own, which goes on when the handler is stopped: the call would else seem to be
        // under way.
        let noting = tokio::spawn(async move {
            match call_limit::end(&desk.pool, &desk.source, &permit, &limits, &end).await {
                Ok(is_circuit_open) => {
                    silent_until.into_iter().for_each(|until| desk.silence_noted(until));
                    is_circuit_open
                }
                Err(error) => {
                    tracing::warn!(source = desk.source, %error, "the end of a call was not noted");
                    false
                }
            }
        });
        // A panic in it was reported by the panic hook.
        let is_circuit_open = noting.await.unwrap_or_default();
        let refused_for = silence.filter(|_| ending == Ending::Refused).map(|silence| silence.min(LOOK_MAX));
        Ended { refused_for, is_circuit_open }
    }

    /// What the answer says of the limit, with no longer wait than the source gets.
    fn announced(&self, finished: &Finished<'_>) -> Announced {
        if finished.about == About::Elsewhere {
            return Announced::default();
        }
        let asked = announced(finished.headers, finished.is_refused);
        let announced = asked.clone().at_most(self.allowance.silence_max);
        if announced != asked {
            let (source, most) = (&self.desk.source, self.allowance.silence_max);
            let wait = asked.retry_after.max(asked.exhausted_for);
            tracing::warn!(source, ?wait, ?most, "the source asks for a longer silence than it gets");
        }
        announced
    }
}

/// What a finished call says of its source; `None` when it has not even left.
fn ending(finished: &Finished<'_>) -> Option<Ending> {
    Some(match finished.status {
        None if !finished.is_broken => return None,
        _ if finished.about == About::Elsewhere => Ending::Aside,
        Some(_) if finished.is_refused => Ending::Refused,
        Some(401 | 403) if finished.about == About::OldToken => Ending::Aside,
        Some(403) if finished.about == About::Address => Ending::Aside,
        Some(401 | 403) => Ending::Denied,
        Some(status) if status < 500 && !finished.is_broken => Ending::Answered,
        _ => Ending::Failed,
    })
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let why = if self.left.is_some() { Void::Abandoned } else { Void::Missed };
        let (desk, permit) = (self.desk.clone(), self.permit);
        desk.call_ended(None);
        // Without a runtime the process ends, and the ledger shows a call whose end is unknown.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                let noted = async {
                    let mut conn = desk.pool.acquire().await?;
                    call_limit::void(&mut conn, &desk.source, &permit, why).await
                };
                if let Err(error) = noted.await {
                    tracing::warn!(source = desk.source, %error, "the end of a permit was not noted");
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(status: Option<u16>, is_broken: bool, headers: &HeaderMap) -> Finished<'_> {
        Finished { status, headers, is_refused: false, is_broken, code: None, bytes: 0, about: About::Source }
    }

    #[test]
    fn another_host_says_nothing_of_the_source() {
        let headers = HeaderMap::new();
        for (status, is_broken) in [(Some(403), false), (Some(429), false), (Some(500), false), (None, true)]
        {
            let finished = Finished {
                about: About::Elsewhere,
                is_refused: true,
                ..finished(status, is_broken, &headers)
            };
            assert_eq!(ending(&finished), Some(Ending::Aside));
        }
    }

    #[test]
    fn what_has_expired_says_nothing_of_the_source() {
        let headers = HeaderMap::new();
        let about = |about, status| ending(&Finished { about, ..finished(Some(status), false, &headers) });
        assert_eq!(about(About::OldToken, 401), Some(Ending::Aside));
        assert_eq!(about(About::OldToken, 403), Some(Ending::Aside));
        assert_eq!(about(About::Address, 403), Some(Ending::Aside));
        assert_eq!(about(About::Address, 401), Some(Ending::Denied));
        assert_eq!(about(About::Address, 404), Some(Ending::Answered));
        let refused =
            Finished { about: About::Address, is_refused: true, ..finished(Some(403), false, &headers) };
        assert_eq!(ending(&refused), Some(Ending::Refused));
    }

    #[test]
    fn a_status_says_whether_the_source_works() {
        let headers = HeaderMap::new();
        let ending_of = |status, is_broken| ending(&finished(status, is_broken, &headers));
        for (status, expected) in [
            (200, Ending::Answered),
            (302, Ending::Answered),
            (404, Ending::Answered),
            (401, Ending::Denied),
            (403, Ending::Denied),
            (500, Ending::Failed),
            (503, Ending::Failed),
        ] {
            assert_eq!(ending_of(Some(status), false), Some(expected), "{status}");
            let refused = Finished { is_refused: true, ..finished(Some(status), false, &headers) };
            assert_eq!(ending(&refused), Some(Ending::Refused), "{status}");
        }
        assert_eq!(ending_of(Some(200), true), Some(Ending::Failed), "a body that broke off");
        assert_eq!(ending_of(None, true), Some(Ending::Failed), "no answer");
        assert_eq!(ending_of(None, false), None, "nothing has left");
    }
}
