-- Ends live jobs by request: waiting ones at once, running ones by telling their workers.
-- $1 what they become, $2 one job (null: all), $3 states, $4 filter, $5 after this id, $6 up to this one, $7 the most to look at.
with seen as materialized (
    select id, state = any($3) and queue.matches(queue, kind, errors, created_at, group_id, args, $4) as is_chosen
    from queue.live_jobs
    where id > $5 and ($2::bigint is null or id = $2)
    order by id limit $7
),
-- The upper bound is no condition of the scan: a planner that does not know it would take the rows below it for few, and sort
-- them all. The state is that of the row once it is locked.
chosen as materialized (
    select j.id, j.state from queue.live_jobs j
    where j.id = any(array(select id from seen where is_chosen and id <= $6)) and j.state = any($3)
    order by j.id
    for update
),
-- By the ids alone from here on: a condition on the state would be judged on the row as it was when the statement began.
asked as (
    update queue.live_jobs j set end_as = $1
    where j.id = any(array(select id from chosen where state = 'running'))
    returning j.worker_id
),
ended as (
    delete from queue.live_jobs j
    where j.id = any(array(select id from chosen where state <> 'running'))
    returning j.*, coalesce(j.errors, '[]') || jsonb_build_array(jsonb_build_object(
        'attempt', j.attempt, 'at', now(), 'code', $1 || '_by_request', 'error', $1 || ' by request')) as all_errors
),
buried as (
    insert into queue.job_history
        (id, fence, attempt, max_attempts, priority, state, run_at, created_at, started_at, worker_id, queue, kind,
         idempotency_key, group_id, concurrency_key, on_discard, traceparent, args, errors)
    select id, fence, attempt, max_attempts, priority, $1, run_at, created_at, started_at, worker_id, queue, kind,
           idempotency_key, group_id, concurrency_key, on_discard, traceparent, args, all_errors
    from ended
),
follow_ups as (
    insert into queue.live_jobs (queue, kind, state, max_attempts, args, group_id, traceparent)
    select on_discard, on_discard, 'available', 25,
           jsonb_build_object('job_id', id, 'kind', kind, 'args', args, 'error', all_errors -> -1 -> 'error',
                              'code', all_errors -> -1 -> 'code'),
           group_id, traceparent
    from ended where on_discard is not null
),
told as (
    select count(pg_notify('queue_stop', worker_id::text)) as n from (select distinct worker_id from asked) w
)
select (select count(*) from asked) + (select count(*) from ended) as "changed!",
       -- Behind a full window there may be more.
       least($6, (select max(id) from seen having count(*) = $7)) as "done_to!",
       array(select distinct group_id from ended where group_id is not null) as "groups!",
       (select n from told) as "told!"
