-- Enqueues a job for each tick and moves the schedules on. The caller holds the locks of their rows.
-- Ticks: $1 names, $2 moments, the oldest first. Schedules: $3 names, $4 the due tick as it was seen, $5 the next one,
-- $6 why it cannot be fired any more.
with tick as materialized (
    select nextval('queue.live_jobs_id_seq') as id, t.name, t.at
    from unnest($1::text[], $2::timestamptz[]) with ordinality as t (name, at, ord) order by t.ord
),
-- The name and the tick decide how long a job is put off: the same tick gives the same time, whoever fires it.
put_off as (
    select t.id, t.name, t.at + make_interval(secs => (
               (hashtextextended(s.name || ' ' || extract(epoch from t.at)::text, 0) & 9223372036854775807)
               % (s.jitter_s * 1000 + 1)) / 1000.0) as run_at
    from tick t join queue.schedules s on s.name = t.name
),
enqueued as (
    insert into queue.live_jobs (id, queue, kind, state, args, priority, max_attempts, on_discard, run_at, turn)
    select p.id, s.kind, s.kind, case when p.run_at > now() then 'scheduled' else 'available' end::queue.job_state,
           s.args, s.priority, s.max_attempts, s.on_discard, p.run_at, p.run_at - make_interval(mins => s.priority)
    from put_off p join queue.schedules s on s.name = p.name
    order by p.id
)
update queue.schedules s
set next_at = f.next_at, enabled = s.enabled and f.error is null, last_error = f.error,
    last_at = coalesce((select max(t.at) from tick t where t.name = s.name), s.last_at),
    last_job_id = coalesce((select max(t.id) from tick t where t.name = s.name), s.last_job_id)
from unnest($3::text[], $4::timestamptz[], $5::timestamptz[], $6::text[]) as f (name, due_at, next_at, error)
where s.name = f.name and s.next_at = f.due_at
