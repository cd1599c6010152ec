-- Ends attempts that did not complete their job.
-- $1 ids, $2 fences, $3 errors (null: none), $4 error codes, $5 seconds to wait, $6 does the attempt count,
-- $7 is it over for good.
with input as (
    select *
    from unnest($1::bigint[], $2::integer[], $3::text[], $4::text[], $5::float8[], $6::boolean[], $7::boolean[])
        as i (id, fence, error, code, wait_s, counts, final)
),
-- The jobs that the attempts still hold: a running job is one with a worker. (Were the state named, a planner that knows of
-- few running jobs would compare all of them with each of the input.) The row lock orders this against a rescue. A job that was asked to end does so
-- now, however its attempt ended.
held as materialized (
    select j.id, i.wait_s, i.counts,
           case when j.end_as is not null then j.end_as
                when i.final or (i.counts and j.attempt >= j.max_attempts) then 'discarded'::queue.job_state
           end as end_as,
           case when j.end_as is null and i.error is null then j.errors
                -- What comes again and again for no fault of the job is kept once.
                else case when j.errors -> -1 ->> 'code' = i.code and not i.counts then j.errors - -1
                          else coalesce(j.errors, '[]') end || jsonb_build_array(jsonb_build_object(
                    'attempt', j.attempt, 'at', now(),
                    'code', case when j.end_as is null then i.code else j.end_as || '_by_request' end,
                    'error', coalesce(i.error, j.end_as || ' by request')))
           end as errors
    from input i join queue.live_jobs j on j.id = i.id and j.fence = i.fence and j.worker_id is not null
    order by j.id
    for update of j
),
-- Another attempt is due now or later.
again as (
    update queue.live_jobs j
    set state = case when h.wait_s <= 0 then 'available' when h.counts then 'retryable' else 'scheduled' end
                ::queue.job_state,
        attempt = j.attempt - case when h.counts then 0 else 1 end,
        run_at = case when h.wait_s > 0 then now() + make_interval(secs => h.wait_s) else j.run_at end,
        turn = case when h.wait_s > 0 then now() + make_interval(secs => h.wait_s, mins => - j.priority) else j.turn end,
        started_at = case when h.counts then j.started_at end,
        lease_until = null, worker_id = null, errors = h.errors
    from held h where j.id = h.id and h.end_as is null
    returning j.id, j.queue
),
-- That was the last one: into the history with every error.
ended as (
    delete from queue.live_jobs j using held h where j.id = h.id and h.end_as is not null
    returning j.*, h.end_as as ended_as, h.errors as all_errors
),
buried as (
    insert into queue.job_history
        (id, fence, attempt, max_attempts, priority, state, run_at, created_at, started_at, worker_id, queue, kind,
         idempotency_key, group_id, concurrency_key, on_discard, traceparent, args, errors)
    select id, fence, attempt, max_attempts, priority, ended_as, run_at, created_at, started_at, worker_id, queue, kind,
           idempotency_key, group_id, concurrency_key, on_discard, traceparent, args, all_errors
    from ended
),
-- Whoever has to hear of it does, in the same transaction; 25 attempts last for an hour, and then a person must look.
follow_ups as (
    insert into queue.live_jobs (queue, kind, state, max_attempts, args, group_id, traceparent)
    select on_discard, on_discard, 'available', 25,
           jsonb_build_object('job_id', id, 'kind', kind, 'args', args, 'error', all_errors -> -1 -> 'error',
                              'code', all_errors -> -1 -> 'code'),
           group_id, traceparent
    from ended where on_discard is not null
),
-- An insert notifies by its trigger; a job that is to run again must say so itself. Also one that has to wait: whoever
-- sleeps must know when to wake, since this worker may be busy or gone by then.
woken as (
    select pg_notify('queue', queue) from (select distinct queue from again) q
)
select id from again
union all select id from ended
union all select null from woken
