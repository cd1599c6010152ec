/// How often a statement is tried. Postgres needs a second to find a deadlock, and whoever asked waits.
const TRIES_MAX: u32 = 3;

/// The tries of a statement that Postgres may roll back because others were at the same rows.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

impl Tries {
    /// Whether to try once more after this error: a deadlock (SQLSTATE 40P01), or, where transactions are
    /// serializable, a conflict (40001).
    pub(super) fn again(&mut self, error: &sqlx::Error) -> bool {
        self.0 += 1;
        let code = error.as_database_error().and_then(|error| error.code());
        let is_again = self.0 < TRIES_MAX && matches!(code.as_deref(), Some("40P01" | "40001"));
        if is_again {
            tracing::debug!(%error, "a change of jobs met another one, trying again");
        }
        is_again
    }
}
