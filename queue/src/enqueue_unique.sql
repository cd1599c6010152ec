-- Enqueues jobs of which some have a unique key, and tells for each, in the order given, whether it was
-- inserted.
-- $1 kinds, $2 payloads, $3 priorities, $4 delays in seconds, $5 most attempts, $6 kinds of the follow-ups, $7 trace contexts,
-- $8 groups, $9 concurrency keys, $10 unique keys, $11 the states in which they are taken, $12 for how many seconds at most.
-- The ids are drawn before the insert, so that a row that comes back tells which input it was.
with input as materialized (
    select nextval('queue.live_jobs_id_seq') as id, now() + make_interval(secs => coalesce(delay_s, 0)) as run_at, i.*
    from unnest($1::text[], $2::text[], $3::smallint[], $4::float8[], $5::integer[], $6::text[], $7::text[], $8::bigint[],
                $9::text[], $10::text[], $11::text[], $12::float8[])
        with ordinality as i (kind, args, priority, delay_s, max_attempts, on_discard, traceparent, group_id,
                              concurrency_key, key, states, period_s, ord)
),
-- The first of each key in this batch asks for it, in the order of the keys, so that two batches never wait for each other
-- in a circle. The condition runs when the row is locked, on what is committed by then.
won as (
    insert into queue.unique_keys as taken (queue, key, job_id)
    select kind, key, id
    from (select distinct on (kind, key) * from input where key is not null order by kind, key, ord) first_of_key
    order by kind, key
    on conflict (queue, key) do update set job_id = excluded.job_id, taken_at = now()
    where not exists (
        select from input i
        where i.id = excluded.job_id
          and queue.state_of(taken.job_id) = any(i.states::queue.job_state[])
          and (i.period_s is null or taken.taken_at > now() - make_interval(secs => i.period_s))
    )
    returning job_id
),
inserted as (
    insert into queue.live_jobs
        (id, queue, kind, args, priority, state, run_at, turn, max_attempts, on_discard, traceparent, group_id,
         concurrency_key, idempotency_key)
    select id, kind, kind, args::jsonb, priority,
           case when delay_s > 0 then 'scheduled' else 'available' end::queue.job_state,
           run_at, run_at - make_interval(mins => priority), max_attempts, on_discard, traceparent, group_id,
           concurrency_key, key
    from input
    where key is null or id in (select job_id from won)
    order by ord
    returning id
)
select input.id as "id!", inserted.id is not null as "is_inserted!"
from input left join inserted on inserted.id = input.id order by input.ord
