-- Brings cancelled and discarded jobs back to life.
-- $1 states, $2 filter, $3 after this id, $4 up to this one, $5 the most to look at.
-- Each state from its own partitions or by its name, so that an index serves it: completed jobs, which may be millions, are
-- never read.
with seen as materialized (
    select * from (
        (select id, finished_at, queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
         from queue.job_history_ended
         where state = 'cancelled' and 'cancelled' = any($1) and id > $3
         order by id limit $5)
        union all
        (select id, finished_at, queue.matches(queue, kind, errors, created_at, group_id, args, $2)
         from queue.job_history_discarded
         where 'discarded' = any($1) and id > $3
         order by id limit $5)
    ) ended
    order by id limit $5
),
-- Only the partitions of the days that they ended on.
chosen as materialized (
    select id, queue, idempotency_key, group_id from queue.job_history
    where state in ('cancelled', 'discarded')
      and finished_at >= (select min(finished_at) from seen) and finished_at <= (select max(finished_at) from seen)
      and id = any(array(select id from seen where is_chosen and id <= $4))
    order by id
    for update
),
-- A key that a live job has by now stays with it.
won as (
    insert into queue.unique_keys as taken (queue, key, job_id)
    select distinct on (queue, idempotency_key) queue, idempotency_key, id
    from chosen where idempotency_key is not null order by queue, idempotency_key, id desc
    on conflict (queue, key) do update set job_id = excluded.job_id, taken_at = now()
    where taken.job_id = excluded.job_id
       or coalesce(queue.state_of(taken.job_id), 'completed') in ('completed', 'cancelled', 'discarded')
    returning job_id
),
-- Whoever finishes one of these groups now waits, and sees the job that came back; who did so a moment ago is waited for.
open_groups as materialized (
    select id from queue.groups
    where id = any(array(select group_id from chosen)) and finished_at is null
    order by id
    for share
),
revived as (
    delete from queue.job_history h
    where h.state in ('cancelled', 'discarded')
      and h.finished_at >= (select min(finished_at) from seen) and h.finished_at <= (select max(finished_at) from seen)
      and h.id = any(array(select id from chosen where idempotency_key is null or id in (select job_id from won)))
    returning h.*
),
back as (
    insert into queue.live_jobs
        (id, fence, attempt, max_attempts, priority, state, run_at, turn, created_at, queue, kind, idempotency_key,
         group_id, concurrency_key, on_discard, traceparent, args, errors)
    select id, fence, attempt, greatest(max_attempts, attempt + 1), priority, 'available', now(),
           now() - make_interval(mins => priority), created_at, queue, kind, idempotency_key,
           (select g.id from open_groups g where g.id = group_id),
           concurrency_key, on_discard, traceparent, args, errors
    from revived
    returning id
)
select (select count(*) from chosen) as "chosen!", array(select id from back) as "revived!",
       least($4, (select max(id) from seen having count(*) = $5)) as "done_to!"
