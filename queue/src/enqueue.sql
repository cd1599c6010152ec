-- Enqueues jobs without a unique key: most are. Gives their ids in the order given.
-- $1 kinds, $2 payloads, $3 priorities, $4 delays in seconds, $5 most attempts, $6 kinds of the follow-ups,
-- $7 trace contexts, $8 groups, $9 concurrency keys.
insert into queue.live_jobs
    (queue, kind, args, priority, state, run_at, turn, max_attempts, on_discard, traceparent, group_id,
     concurrency_key)
select kind, kind, args::jsonb, priority,
       case when delay_s > 0 then 'scheduled' else 'available' end::queue.job_state,
       run_at, run_at - make_interval(mins => priority), max_attempts, on_discard, traceparent, group_id,
       concurrency_key
from unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::integer[], $6::text[], $7::text[],
            $8::bigint[], $9::text[])
    with ordinality as i (kind, args, priority, delay_s, max_attempts, on_discard, traceparent, group_id,
                          concurrency_key, ord)
cross join lateral (select now() + make_interval(secs => coalesce(delay_s, 0)) as run_at) due
order by ord
returning id
