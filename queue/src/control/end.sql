-- Ends live jobs by request: waiting ones at once, running ones by telling their workers.
-- $1 what they become, $2 states, $3 filter, $4 after this id, $5 up to this one, $6 the most to look at, $7 whether to wait
-- for those that somebody holds.
with seen as materialized (
    select id, state = any($2) and queue.matches(queue, kind, errors, created_at, group_id, args, $3) as is_chosen
    from queue.live_jobs
    where id > $4
    order by id limit $6
),
-- The upper bound is no condition of the scan: a planner that does not know it would take the rows below it for few, and sort
-- them all. The state is that of the row once it is locked.
free as materialized (
    select j.id, j.state from queue.live_jobs j
    where not $7 and j.id = any(array(select id from seen where is_chosen and id <= $5)) and j.state = any($2)
    order by j.id
    for update skip locked
),
awaited as materialized (
    select j.id, j.state from queue.live_jobs j
    where $7 and j.id = any(array(select id from seen where is_chosen and id <= $5)) and j.state = any($2)
    order by j.id
    for update
),
chosen as materialized (
    select * from free union all select * from awaited
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
       least($5, (select max(id) from seen having count(*) = $6)) as "done_to!",
       array(select distinct group_id from ended where group_id is not null) as "groups!",
       -- Held by somebody, or not to be changed any more since this statement began.
       array(select id from seen where is_chosen and id <= $5 except select id from chosen order by id) as "held!",
       (select n from told) as "told!"
