//! Leave to call a source, for the callers of this process. How many calls there may be is decided for the
//! whole fleet, in `resume_core::call_limit`; here it is decided who of this process makes them, and they are
//! made in time.
//!
//! | file | what it does |
//! | --- | --- |
//! | `pacer.rs` | [`Pacer`]: asks for permits while somebody of this process waits for one |
//! | `line.rs` | who waits, and whose turn it is |
//! | `clock.rs` | the database's clock by this process's |
//! | `leave.rs` | [`Leave`]: a permit in the hands of a caller |

mod clock;
mod leave;
mod line;
mod pacer;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use resume_core::{
    call_limit::Obstacle,
    db::PgPool,
    source::{Source, definition::Definition},
};

pub(crate) use leave::{About, Ended, Finished, Leave};
use pacer::{Allowance, Pacer};

/// The pacers of a process: one for each source that it has called.
#[derive(Debug)]
pub(crate) struct Permits {
    pool: PgPool,
    worker_id: i64,
    pacers: Mutex<HashMap<String, Arc<Pacer>>>,
}

/// Why there is no leave to call for a while that is too long for waiting in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// What keeps the calls back.
    pub(crate) obstacle: Obstacle,
    /// How long to wait before asking again.
    pub(crate) left: Duration,
}

impl Permits {
    pub(crate) fn new(pool: PgPool, worker_id: i64) -> Self {
        Self { pool, worker_id, pacers: Mutex::default() }
    }

    /// The pacer of a source, with its limits as they are now.
    pub(crate) fn pacer(&self, source: &Source) -> Arc<Pacer> {
        let mut pacers = lock(&self.pacers);
        let definition = &source.definition;
        let Definition { name, limits, concurrency, .. } = definition;
        let pacer = pacers
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Pacer::start(self.pool.clone(), self.worker_id, name.clone())));
        let (limits, concurrency) = (limits.clone(), *concurrency);
        pacer.allow(Allowance { limits, concurrency, silence_max: definition.silence_max() });
        pacer.clone()
    }
}

/// Nothing panics under these locks; and if it did, what they guard would still be whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
