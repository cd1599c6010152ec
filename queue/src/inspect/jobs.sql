-- A page of jobs, newest first. With no job on it, one row that holds only `looked_down_to`.
-- $1 one job (null: all), $2 states, $3 filter, $4 below this id, $5 the most to look at of live and of ended ones, $6 the most
-- to give.
with live as materialized (
    select id, state = any($2) and ($1::bigint is null or id = $1)
               and queue.matches(queue, kind, errors, created_at, group_id, args, $3) as is_chosen
    from queue.live_jobs
    where id < $4
    order by id desc limit $5
),
-- Each sort of ended jobs from its own partitions, or by its name, so that an index serves it whatever the planner knows; among
-- completed ones the cancelled ones are read as well.
ended as materialized (
    select * from (
        (select id, state = any($2) and ($1::bigint is null or id = $1)
                    and queue.matches(queue, kind, errors, created_at, group_id, args, $3) as is_chosen
         from queue.job_history_ended
         where 'completed' = any($2) and id < $4
         order by id desc limit $5)
        union all
        (select id, ($1::bigint is null or id = $1)
                    and queue.matches(queue, kind, errors, created_at, group_id, args, $3)
         from queue.job_history_ended
         where state = 'cancelled' and 'cancelled' = any($2) and 'completed' <> all($2) and id < $4
         order by id desc limit $5)
        union all
        (select id, ($1::bigint is null or id = $1)
                    and queue.matches(queue, kind, errors, created_at, group_id, args, $3)
         from queue.job_history_discarded
         where 'discarded' = any($2) and id < $4
         order by id desc limit $5)
    ) ended
    order by id desc limit $5
),
-- Below where one of the two looks stopped short, the list would have gaps.
bounds as (
    select greatest((select case when count(*) = $5 then min(id) end from live),
                    (select case when count(*) = $5 then min(id) end from ended)) as looked_down_to
),
chosen as materialized (
    select c.id from (select * from live union all select * from ended) c, bounds
    where c.is_chosen and c.id >= coalesce(bounds.looked_down_to, 0)
    order by c.id desc limit $6
)
select bounds.looked_down_to as "looked_down_to?", j.id as "id?", j.queue as "queue?", j.kind as "kind?",
       j.state as "state?: JobState", j.args as "args?", j.attempt as "attempt?", j.max_attempts as "max_attempts?",
       j.priority as "priority?", j.created_at as "created_at?", j.run_at as "run_at?", j.started_at as "started_at?",
       j.finished_at as "finished_at?", (select name from queue.workers w where w.id = j.worker_id) as "worker?",
       j.errors as "errors?", j.idempotency_key as "idempotency_key?", j.concurrency_key as "concurrency_key?", j.group_id as "group_id?", j.end_as as "end_as?: JobState",
       j.traceparent as "traceparent?"
from bounds
left join (
    select id, queue, kind, state, args, attempt, max_attempts, priority, created_at, run_at, started_at,
           null::timestamptz as finished_at, worker_id, errors, idempotency_key, concurrency_key, group_id, end_as,
           traceparent
    from queue.live_jobs where id = any(array(select id from chosen))
    union all
    select id, queue, kind, state, args, attempt, max_attempts, priority, created_at, run_at, started_at,
           finished_at, worker_id, errors, idempotency_key, concurrency_key, group_id, null, traceparent
    from queue.job_history where state = any($2) and id = any(array(select id from chosen))
) j on true
order by j.id desc
