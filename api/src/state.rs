use resume_core::db::PgPool;

/// What the handlers work with. Cloning gives another handle to the same things.
#[derive(Clone)]
pub struct AppState {
    /// Connections to the database, as `resume_core::db::pool` makes them for `Role::Api`.
    pub pool: PgPool,
    /// The mock source behind `/api/v1/test-data`; `None` where it is not served.
    pub test_data: Option<mock_ats::Ats>,
}
