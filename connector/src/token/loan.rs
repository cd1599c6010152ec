use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    Request, StatusCode,
    header::{HeaderName, HeaderValue},
};

use super::{Shared, Token};

/// So many requests are remembered that were refused.
const DOUBTS_MAX: usize = 10_000;

/// A token that is no older than this has not expired, whatever its endpoint forgets to tell.
const FRESH: Duration = Duration::from_secs(1);

/// How often a request may be refused, with one token after the other, until it is taken to be refused for
/// itself. Else two that are refused for themselves could go on for ever: each overtakes the other's token.
const DOUBTS_EACH: u32 = 3;

/// A request that was refused, perhaps for its token.
#[derive(Clone, Copy)]
pub(super) struct Doubt {
    /// When it was refused for the first time.
    since: Instant,
    /// How often.
    times: u32,
}

/// A token in use.
pub(crate) struct Loan {
    shared: Arc<Shared>,
    name: HeaderName,
    header: HeaderValue,
    fetched_at: Instant,
    /// How old it was when it was sent.
    age: Duration,
    /// Whether it was fetched for this very call.
    is_fresh: bool,
    /// Stands for the request that it goes with.
    request: u64,
}

impl Loan {
    /// `is_fresh`: it was fetched for the call that borrows it.
    pub(super) fn new(shared: Arc<Shared>, token: &Token, is_fresh: bool) -> Self {
        let (name, header, fetched_at) = (token.name.clone(), token.header.clone(), token.fetched_at);
        Self { shared, name, header, fetched_at, age: Duration::ZERO, is_fresh, request: 0 }
    }

    /// The header to send, usually `Authorization`; its value is marked as sensitive.
    pub(crate) fn header(&self) -> (HeaderName, HeaderValue) {
        (self.name.clone(), self.header.clone())
    }

    /// Sends the newest token that there is, where the call has waited for its turn meanwhile.
    pub(crate) fn renew(&mut self, request: &mut Request) {
        // Where somebody fetches one now, this call is sent with the one that it has: its time has come.
        if let Ok(slot) = self.shared.slot.try_lock()
            && let Some(token) = slot.token.as_ref().filter(|token| token.header != self.header)
        {
            self.header = token.header.clone();
            self.fetched_at = token.fetched_at;
            request.headers_mut().insert(token.name.clone(), token.header.clone());
        }
        self.age = self.fetched_at.elapsed();
    }

    /// Says what request it goes with.
    pub(crate) fn is_for(&mut self, request: &Request) {
        let mut hasher = DefaultHasher::new();
        request.url().as_str().hash(&mut hasher);
        request.body().and_then(|body| body.as_bytes()).hash(&mut hasher);
        self.request = hasher.finish();
    }

    /// Notes that the source has taken it.
    pub(crate) fn is_good(&self) {
        self.shared.doubts().remove(&self.request);
    }

    /// Whether the source may have refused the token rather than the request, by a 401 or a 403. It may when
    /// the token was kept, and when another one has taken its place; but not when the request was refused
    /// before, with an older one, and this one is fresh, nor when it is refused again and again. The token is
    /// not used again then, nor after any 401.
    pub(crate) async fn is_to_blame(&self, status: StatusCode) -> bool {
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return false;
        }
        let doubt = self.doubt();
        let is_newer = doubt.since < self.fetched_at;
        let may_have_expired = self.age >= FRESH || !self.is_fresh && !is_newer;
        let is_to_blame = !(is_newer && doubt.times > DOUBTS_EACH)
            && (may_have_expired || self.shared.is_overtaken(&self.header).await);
        if !is_to_blame {
            self.shared.doubts().remove(&self.request);
        }
        if is_to_blame || status == StatusCode::UNAUTHORIZED {
            self.shared.forget(&self.header).await;
        }
        is_to_blame
    }

    /// Notes that the request was refused; returns what is known of that by now.
    fn doubt(&self) -> Doubt {
        let mut doubts = self.shared.doubts();
        if doubts.len() >= DOUBTS_MAX {
            doubts.clear();
        }
        let first = Doubt { since: Instant::now(), times: 0 };
        let doubt = doubts.entry(self.request).or_insert(first);
        doubt.times += 1;
        *doubt
    }
}
