-- Counts the live jobs of each queue and state into queue.depths. Counts from the index alone where vacuum has been by,
-- and never more than $1 jobs of a queue in one index.
with recursive
-- The queues that have jobs, found by a leap from each to the next.
available_queues as (
    (select queue from queue.live_jobs where state = 'available' order by queue limit 1)
    union all
    select (select j.queue from queue.live_jobs j
            where j.state = 'available' and j.queue > a.queue order by j.queue limit 1)
    from available_queues a where a.queue is not null
),
due_queues as (
    (select queue from queue.live_jobs where state in ('scheduled', 'retryable') order by queue limit 1)
    union all
    select (select j.queue from queue.live_jobs j
            where j.state in ('scheduled', 'retryable') and j.queue > d.queue order by j.queue limit 1)
    from due_queues d where d.queue is not null
),
-- No more of them run than all workers have slots.
running as materialized (
    select queue, count(*) as jobs
    from (select queue from queue.live_jobs where state = 'running' limit $1) j group by queue
),
queues as (
    select queue from available_queues where queue is not null
    union select queue from due_queues where queue is not null
    union select queue from running
    union select queue from queue.depths
),
-- The job that a claim would take first is the head of the index.
available as (
    select q.queue, 'available'::queue.job_state as state, n.jobs, n.jobs < $1 as exact, (
               select j.run_at from queue.live_jobs j where j.queue = q.queue and j.state = 'available'
               order by j.turn, j.id limit 1
           ) as next_run_at
    from queues q cross join lateral (
        select count(*) as jobs
        from (select from queue.live_jobs j where j.queue = q.queue and j.state = 'available'
              order by j.turn, j.id limit $1) counted
    ) n
),
-- One walk over the index for both of its states: if it stops early, neither number is exact.
due as (
    select q.queue, s.state, coalesce(n.jobs, 0) as jobs, coalesce(n.walked, 0) < $1 as exact, n.next_run_at
    from queues q
    cross join unnest(array['scheduled', 'retryable']::queue.job_state[]) s (state)
    left join lateral (
        select counted.state, count(*) as jobs, sum(count(*)) over () as walked, min(counted.run_at) as next_run_at
        from (select j.state, j.run_at from queue.live_jobs j
              where j.queue = q.queue and j.state in ('scheduled', 'retryable')
              order by j.run_at limit $1) counted
        group by counted.state
    ) n on n.state = s.state
),
found as (
    select * from available
    union all select * from due
    union all
    select q.queue, 'running', coalesce(r.jobs, 0), (select coalesce(sum(jobs), 0) < $1 from running), null
    from queues q left join running r on r.queue = q.queue
),
stored as (
    insert into queue.depths as d (queue, state, jobs, exact, next_run_at)
    select queue, state, jobs, exact, next_run_at from found
    on conflict (queue, state) do update
    set jobs = excluded.jobs, exact = excluded.exact, next_run_at = excluded.next_run_at, measured_at = now()
    returning d.jobs
)
select coalesce(sum(jobs), 0)::bigint as "counted!" from stored
