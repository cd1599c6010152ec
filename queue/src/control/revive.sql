-- Brings cancelled and discarded jobs back to life.
-- $1 one job (null: all), $2 states, $3 filter, $4 after this id, $5 up to this one, $6 the most to look at.
with seen as materialized (
    select id, queue.matches(queue, kind, errors, created_at, group_id, args, $3) as is_chosen
    from queue.job_history
    where state = any($2) and id > $4 and ($1::bigint is null or id = $1)
    order by id limit $6
),
chosen as materialized (
    select id, queue, idempotency_key from queue.job_history
    where state = any($2) and id = any(array(select id from seen where is_chosen and id <= $5))
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
revived as (
    delete from queue.job_history h
    where h.state = any($2) and h.id = any(array(
        select id from chosen where idempotency_key is null or id in (select job_id from won)))
    returning h.*
),
back as (
    insert into queue.live_jobs
        (id, fence, attempt, max_attempts, priority, state, run_at, turn, created_at, queue, kind, idempotency_key,
         group_id, concurrency_key, on_discard, traceparent, args, errors)
    select id, fence, attempt, greatest(max_attempts, attempt + 1), priority, 'available', now(),
           now() - make_interval(mins => priority), created_at, queue, kind, idempotency_key,
           (select g.id from queue.groups g where g.id = group_id and g.finished_at is null),
           concurrency_key, on_discard, traceparent, args, errors
    from revived
    returning id
)
select (select count(*) from back) as "changed!", (select count(*) from chosen) as "chosen!",
       least($5, (select max(id) from seen having count(*) = $6)) as "done_to!"
