//! Triggers that write down every state a job comes to, whoever moves it.

use std::collections::BTreeSet;

use sqlx::{PgPool, Row, raw_sql};

use crate::support::execute;

/// A move from one state to another; `[*]` is before the first, as in the diagram.
pub(super) type Move = (String, String);

pub(super) async fn install(pool: &PgPool) {
    execute(
        pool,
        "create table moves (seq bigint generated always as identity, job_id bigint, state text);
         create function note_move() returns trigger language plpgsql as $$
         begin
             if tg_op = 'INSERT' or new.state <> old.state then
                 insert into moves (job_id, state) values (new.id, new.state);
             end if;
             return null;
         end $$;
         create trigger note_move after insert or update on queue.live_jobs
             for each row execute function note_move();
         create trigger note_move after insert or update on queue.job_history
             for each row execute function note_move();",
    )
    .await;
}

/// The moves that were seen. A job goes to the history and back by a deletion and an insertion; the insertion
/// tells.
pub(super) async fn moves(pool: &PgPool) -> BTreeSet<Move> {
    let sql = "select distinct coalesce(lag(state) over (partition by job_id order by seq), '[*]') as old, state as new
               from moves";
    let rows = raw_sql(sql).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| (row.get("old"), row.get("new"))).collect()
}
