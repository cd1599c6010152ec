use std::sync::Arc;

use resume_core::{db::PgPool, erasure};

use crate::DryCalls;

/// What the handlers work with. Cloning gives another handle to the same things.
#[derive(Clone)]
pub struct AppState {
    /// Connections to the database, as `resume_core::db::pool` makes them for `Role::Api`.
    pub pool: PgPool,
    /// The key with which the ids of erased people are hashed; `None` where nobody is erased.
    pub erasure_key: Option<erasure::Key>,
    /// What makes the calls that check definitions; `None` where none are made.
    pub dry_calls: Option<Arc<DryCalls>>,
}
