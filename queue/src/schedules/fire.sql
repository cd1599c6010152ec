-- Enqueues a job for each tick and moves the schedules on. The caller holds the locks of their rows.
-- Ticks: $1 names, $2 moments, the oldest first. Schedules: $3 names, $4 the due tick as it was seen, $5 the next one,
-- $6 why it cannot be fired any more.
with tick as materialized (
    select nextval('queue.live_jobs_id_seq') as id, t.name, t.at
    from unnest($1::text[], $2::timestamptz[]) with ordinality as t (name, at, ord) order by t.ord
),
enqueued as (
    insert into queue.live_jobs (id, queue, kind, state, args, priority, max_attempts, on_discard, run_at, turn)
    select t.id, s.kind, s.kind, 'available', s.args, s.priority, s.max_attempts, s.on_discard, t.at,
           t.at - make_interval(mins => s.priority)
    from tick t join queue.schedules s on s.name = t.name
    order by t.id
)
update queue.schedules s
set next_at = f.next_at, enabled = s.enabled and f.error is null, last_error = f.error,
    last_at = coalesce((select max(t.at) from tick t where t.name = s.name), s.last_at),
    last_job_id = coalesce((select max(t.id) from tick t where t.name = s.name), s.last_job_id)
from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[]) as f (name, due_at, next_at, error)
where s.name = f.name and s.next_at = f.due_at
