use std::time::Duration;

use crate::problem::Problem;

/// The longest that a request waits for the database: a connection, a lock and the query. Every query takes
/// milliseconds, so whoever waits longer waits for a database that is away, and rather hears so while still
/// listening.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// Runs one use of the database within the time limit. What is cut off is rolled back, or was just committed:
/// a caller who must know sends an idempotency key.
pub(crate) async fn bounded<T, E: Into<Problem>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(TIME_LIMIT, work).await {
        Ok(result) => result.map_err(Into::into),
        Err(elapsed) => Err(Problem::unavailable(elapsed)),
    }
}
