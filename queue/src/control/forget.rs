use serde_json::{Value, json};
use sqlx::PgConnection;

/// Puts `instead` in place of what the errors of jobs say, live and ended, whose arguments contain one of
/// `args`, and in the follow-ups of those that were discarded. When the errors were and their codes stay.
/// Returns how many jobs that were.
///
/// In the caller's transaction; locks those jobs.
///
/// # Errors
/// The database's.
pub async fn forget_errors(
    conn: &mut PgConnection,
    args: &[Value],
    instead: &str,
) -> Result<u64, sqlx::Error> {
    if args.is_empty() {
        return Ok(0);
    }
    // The arguments of a follow-up have those of the job that was discarded.
    let named: Vec<Value> =
        args.iter().cloned().chain(args.iter().map(|args| json!({ "args": args }))).collect();
    let live = sqlx::query!(
        r#"
        update queue.live_jobs j
        set errors = queue.without_texts(j.errors, $2), args = queue.without_text(j.args, $2)
        from unnest($1::jsonb[]) as named (args)
        where (j.errors is not null or j.args ? 'error') and j.args @> named.args
        "#,
        &named,
        instead,
    );
    let live = live.execute(&mut *conn).await?.rows_affected();
    let ended = sqlx::query!(
        r#"
        update queue.job_history j
        set errors = queue.without_texts(j.errors, $2), args = queue.without_text(j.args, $2)
        from unnest($1::jsonb[]) as named (args)
        where (j.errors is not null or j.args ? 'error') and j.args @> named.args
        "#,
        &named,
        instead,
    );
    Ok(live + ended.execute(conn).await?.rows_affected())
}
