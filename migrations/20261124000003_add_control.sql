-- Control over the queue: order with ageing, pausing and limits, unique keys, groups, and ending jobs by request.
-- queue/src/ is the only code that names these tables.

alter table queue.live_jobs
    add column turn timestamptz not null default now(),
    add column end_as queue.job_state
        constraint live_jobs_end_as_is_final check (end_as in ('cancelled', 'discarded')),
    add column group_id bigint,
    add column concurrency_key text,
    add column traceparent text;
comment on column queue.live_jobs.turn is
    'available jobs are claimed in this order: run_at, a minute earlier for each step of priority, so that nobody starves';
comment on column queue.live_jobs.end_as is
    'set on a running job that was asked to end: what it becomes unless it completes first';
comment on column queue.live_jobs.group_id is 'the group whose follow-up waits for the end of this job';
comment on column queue.live_jobs.concurrency_key is 'queues.max_running_per_key counts the running jobs of each key';
comment on column queue.live_jobs.traceparent is 'W3C trace context of whoever enqueued the job';

-- What was enqueued before has waited since its run_at.
update queue.live_jobs set turn = run_at - make_interval(mins => priority) where state <> 'running';

drop index queue.live_jobs_available;
create index live_jobs_available on queue.live_jobs (queue, turn, id) where state = 'available';
create index live_jobs_available_of_key on queue.live_jobs (queue, concurrency_key, turn, id)
    where state = 'available' and concurrency_key is not null;
-- With the queue in front, the running jobs of one queue can be counted without looking at all others.
drop index queue.live_jobs_running;
create index live_jobs_running on queue.live_jobs (queue, worker_id) where state = 'running';
create index live_jobs_running_of_key on queue.live_jobs (queue, concurrency_key)
    where state = 'running' and concurrency_key is not null;
create index live_jobs_group on queue.live_jobs (group_id) where group_id is not null;

-- A job that is retried out of the history needs all that it was. The fence must go on from where it was, or an attempt
-- that was forgotten would hold the job again: older rows get one that no job has reached.
alter table queue.job_history
    add column fence integer not null default 1000000,
    add column group_id bigint,
    add column concurrency_key text,
    add column on_discard text,
    add column traceparent text;
alter table queue.job_history alter column fence drop default;

-- Queues that somebody paused or limited; a queue without a row has no restriction.
create table queue.queues (
    name text primary key,
    paused_at timestamptz,
    max_running integer constraint queues_max_running_positive check (max_running > 0),
    max_running_per_key integer constraint queues_max_running_per_key_positive check (max_running_per_key > 0),
    updated_at timestamptz not null default now()
);

-- Which worker works on which queue, and how it fares; the worker's row says whether it lives.
create table queue.worker_queues (
    worker_id bigint not null references queue.workers (id) on delete cascade,
    queue text not null,
    slots integer not null,
    mean_run_s float8,
    wants_notify boolean not null default true,
    updated_at timestamptz not null default now(),
    primary key (worker_id, queue)
) with (fillfactor = 50); -- updated often while a queue is busy: room for HOT updates
create index worker_queues_queue on queue.worker_queues (queue);
comment on column queue.worker_queues.wants_notify is
    'false while the worker looks at the queue every few milliseconds anyway';

-- Transactions that notify commit one after the other, each with its flush to disk: so only where somebody sleeps.
create or replace function queue.notify_enqueued() returns trigger language plpgsql as $$
begin
    perform pg_notify('queue', q.queue) from (select distinct queue from enqueued) q
    where exists (
        select from queue.worker_queues w join queue.workers p on p.id = w.worker_id
        where w.queue = q.queue and w.wants_notify and p.stopped_at is null
    );
    return null;
end $$;

-- Which job took a unique key last. Whether the key is free is asked when the next job wants it, by the state and the age of
-- that job; so the end of a job writes nothing here.
create table queue.unique_keys (
    queue text not null,
    key text not null,
    job_id bigint not null,
    taken_at timestamptz not null default now(),
    primary key (queue, key)
);
create index unique_keys_taken_at on queue.unique_keys (taken_at);
insert into queue.unique_keys (queue, key, job_id)
select queue, idempotency_key, id from queue.live_jobs where idempotency_key is not null;
drop index queue.live_jobs_idempotency_key;

create function queue.state_of(job_id bigint) returns queue.job_state language plpgsql as $$
declare
    found_state queue.job_state;
begin
    select state into found_state from queue.live_jobs where id = job_id;
    if found_state is null then
        select state into found_state from queue.job_history where id = job_id;
    end if;
    return found_state;
end $$;
comment on function queue.state_of is
    'null: there is no such job any more. Volatile, so that it sees what was committed while the calling statement waited.';

-- Jobs that belong together. When the last of them has ended, the follow-up is enqueued, once.
create table queue.groups (
    id bigint generated by default as identity primary key,
    kind text not null,
    args jsonb not null,
    max_attempts integer not null,
    on_discard text,
    traceparent text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    follow_up_id bigint
);
create index groups_open on queue.groups (id) where finished_at is null;
create index groups_finished on queue.groups (finished_at) where finished_at is not null;

-- The jobs that may run now in a queue that has limits, at most `most`, locked. Claims of such a queue come here one after
-- the other, since each must see what the one before it took; what is running is counted from the jobs themselves, so a
-- limit survives any crash. Reads one index entry for each key that has waiting jobs.
create function queue.pick_limited(of_queue text, most integer) returns bigint[] language plpgsql as $$
declare
    limits queue.queues;
    room integer := most;
    picked bigint[] := '{}';
    head record;
begin
    perform pg_advisory_xact_lock(1919251315, hashtext(of_queue));  -- "reqs" in ASCII
    select * into limits from queue.queues where name = of_queue;
    if limits.paused_at is not null then
        return picked;
    end if;
    if limits.max_running is not null then
        room := least(room, limits.max_running - (
            select count(*) from queue.live_jobs where queue = of_queue and state = 'running'));
    end if;
    if room <= 0 then
        return picked;
    end if;
    -- Due jobs take their place among the others, since a key's turn goes by one order.
    update queue.live_jobs set state = 'available' where id = any(array(
        select id from queue.live_jobs
        where queue = of_queue and state in ('scheduled', 'retryable') and run_at <= now()
        order by run_at limit 1000
        for update skip locked
    ));
    if limits.max_running_per_key is null then
        return array(
            select id from queue.live_jobs where queue = of_queue and state = 'available'
            order by turn, id limit room
            for update skip locked);
    end if;
    for head in
        with recursive keys as (
            (select concurrency_key as key, turn from queue.live_jobs
             where queue = of_queue and state = 'available' and concurrency_key is not null
             order by concurrency_key, turn limit 1)
            union all
            select next.* from keys, lateral (
                select concurrency_key, turn from queue.live_jobs
                where queue = of_queue and state = 'available' and concurrency_key > keys.key
                order by concurrency_key, turn limit 1) next
        )
        select key, turn from keys
        union all
        (select null, turn from queue.live_jobs
         where queue = of_queue and state = 'available' and concurrency_key is null order by turn limit 1)
        order by turn
    loop
        exit when cardinality(picked) >= room;
        if head.key is null then
            picked := picked || array(
                select id from queue.live_jobs
                where queue = of_queue and state = 'available' and concurrency_key is null
                order by turn, id limit room - cardinality(picked)
                for update skip locked);
        else
            picked := picked || array(
                select id from queue.live_jobs
                where queue = of_queue and state = 'available' and concurrency_key = head.key
                order by turn, id
                limit greatest(0, least(room - cardinality(picked), limits.max_running_per_key - (
                    select count(*) from queue.live_jobs
                    where queue = of_queue and state = 'running' and concurrency_key = head.key)))
                for update skip locked);
        end if;
    end loop;
    return picked;
end $$;

-- Whether a job is among those that a person chose; the one place that says what a filter means. A member that is missing
-- chooses all. Members: queue, kind, error_code (of the last failed attempt), older_than_s (since it was created), group_id,
-- args (contained in the payload).
create function queue.matches(
    of_queue text, of_kind text, errors jsonb, created_at timestamptz, group_id bigint, args jsonb, filter jsonb
) returns boolean language sql stable as $$
    select (filter ->> 'queue' is null or of_queue = filter ->> 'queue')
       and (filter ->> 'kind' is null or of_kind = filter ->> 'kind')
       and (filter ->> 'error_code' is null or errors -> -1 ->> 'code' = filter ->> 'error_code')
       and (filter ->> 'older_than_s' is null
            or created_at < now() - make_interval(secs => (filter ->> 'older_than_s')::float8))
       and (filter ->> 'group_id' is null or group_id = (filter ->> 'group_id')::bigint)
       and (filter -> 'args' is null or args @> (filter -> 'args'))
$$;

-- Claims at most `most` jobs of a queue for a worker: those whose turn came first, behind the place (`after_turn`,
-- `after_id`); available ones, and those whose time has come, as they are. Rows that another claim has locked are skipped,
-- never waited for. Each index is read in its own order and only as far as needed: a planner without statistics, as after a
-- burst of new jobs, would rather read the whole queue and sort it, so it is not asked.
create function queue.claim(
    of_queue text, worker bigint, most integer, lease_s float8, after_turn timestamptz, after_id bigint
) returns setof queue.live_jobs language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
declare
    picked bigint[];
    is_restricted boolean := exists (
        select from queue.queues where name = of_queue
          and (paused_at is not null or max_running is not null or max_running_per_key is not null));
begin
    if is_restricted then
        picked := queue.pick_limited(of_queue, most);
    else
        picked := array(
            with available as materialized (
                select id, turn from queue.live_jobs
                where queue = of_queue and state = 'available' and (turn, id) > (after_turn, after_id)
                order by turn, id limit most
                for update skip locked
            ), due as materialized (
                select id, turn from queue.live_jobs
                where queue = of_queue and state in ('scheduled', 'retryable') and run_at <= now()
                order by run_at limit most
                for update skip locked
            )
            select id from (select * from available union all select * from due) candidates
            order by turn, id limit most
        );
    end if;
    return query
        update queue.live_jobs
        set state = 'running', attempt = attempt + 1, fence = fence + 1, worker_id = worker,
            started_at = now(), lease_until = now() + make_interval(secs => lease_s)
        where id = any(picked)
        returning *;
end $$;

-- Why a job does not run: one row a reason, the most decisive first.
create function queue.why_not_running(job_id bigint)
returns table (reason text, detail text, until timestamptz, ahead bigint) language plpgsql as $$
declare
    job queue.live_jobs;
    limits queue.queues;
    running bigint;
begin
    select * into job from queue.live_jobs where id = job_id;
    if job.id is null then
        return query select
            case when h.id is null then 'unknown' else 'ended' end,
            case when h.id is null then 'there is no job ' || job_id
                 else 'the job is ' || h.state || ' since ' || to_char(h.finished_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC' end,
            null::timestamptz, null::bigint
        from (select) one left join lateral (select * from queue.job_history j where j.id = job_id limit 1) h on true;
        return;
    end if;
    if job.state = 'running' then
        return query select 'running',
            'the worker ' || coalesce((select w.name from queue.workers w where w.id = job.worker_id), job.worker_id::text)
                || ' runs it since ' || to_char(job.started_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
                || case when job.end_as is null then '' else ', and was asked to stop: it becomes ' || job.end_as end,
            null::timestamptz, null::bigint;
        return;
    end if;
    select * into limits from queue.queues where name = job.queue;
    if limits.paused_at is not null then
        return query select 'paused',
            'the queue ' || job.queue || ' is paused since ' || to_char(limits.paused_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC',
            null::timestamptz, null::bigint;
    end if;
    if job.state in ('scheduled', 'retryable') and job.run_at > now() then
        return query select 'waiting',
            case when job.state = 'retryable' then 'attempt ' || job.attempt || ' failed and the next one waits for its time'
                 else 'the job is scheduled' end,
            job.run_at, null::bigint;
    end if;
    if not exists (select from queue.worker_queues q join queue.workers w on w.id = q.worker_id
                   where q.queue = job.queue and w.stopped_at is null) then
        return query select 'no_worker', 'no live worker takes jobs of the queue ' || job.queue,
            null::timestamptz, null::bigint;
    end if;
    if limits.max_running is not null then
        select count(*) into running from queue.live_jobs j where j.queue = job.queue and j.state = 'running';
        if running >= limits.max_running then
            return query select 'queue_limit',
                format('%s of at most %s jobs of the queue %s are running', running, limits.max_running, job.queue),
                null::timestamptz, null::bigint;
        end if;
    end if;
    if limits.max_running_per_key is not null and job.concurrency_key is not null then
        select count(*) into running from queue.live_jobs j
        where j.queue = job.queue and j.state = 'running' and j.concurrency_key = job.concurrency_key;
        if running >= limits.max_running_per_key then
            return query select 'key_busy',
                format('%s of at most %s jobs with the key %s are running', running, limits.max_running_per_key, job.concurrency_key),
                null::timestamptz, null::bigint;
        end if;
    end if;
    if job.state = 'available' or job.run_at <= now() then
        return query select 'behind',
            case when c.ahead = 0 then 'the job is next in its queue'
                 when c.ahead > 10000 then 'more than 10000 jobs are in front of it'
                 else c.ahead || ' jobs are in front of it' end,
            null::timestamptz, least(c.ahead, 10000)
        from (select count(*) as ahead from (
            select from queue.live_jobs j
            where j.queue = job.queue and j.state = 'available' and (j.turn, j.id) < (job.turn, job.id)
            limit 10001) front) c;
    end if;
end $$;

-- How many workers a queue wants, each with `slots` slots, so that what waits now is done within `target_s` seconds.
-- Little's law: slots busy = arrival rate * run time; here what is running goes on, and the backlog needs
-- waiting * run time / target. Without a run time yet, a job is taken to need a second.
create function queue.demand(of_queue text, target_s float8 default 60)
returns table (waiting bigint, waiting_is_exact boolean, running bigint, mean_run_s float8, slots_per_worker float8,
               workers bigint, workers_wanted bigint)
language sql stable as $$
    with waiting as (
        select count(*) as n from (
            (select from queue.live_jobs where queue = of_queue and state = 'available' limit 100001)
            union all
            (select from queue.live_jobs where queue = of_queue and state in ('scheduled', 'retryable')
                 and run_at <= now() limit 100001)
        ) w
    ), running as (
        select count(*) as n from queue.live_jobs where queue = of_queue and state = 'running'
    ), fleet as (
        select count(*) as workers, coalesce(avg(q.slots), 1)::float8 as slots, avg(q.mean_run_s) as mean_run_s
        from queue.worker_queues q join queue.workers w on w.id = q.worker_id
        where q.queue = of_queue and w.stopped_at is null
    )
    select least(waiting.n, 100000), waiting.n <= 100000, running.n, fleet.mean_run_s, fleet.slots, fleet.workers,
        case when exists (select from queue.queues where name = of_queue and paused_at is not null) then 0
             else ceil(least(
                 (running.n + waiting.n * coalesce(fleet.mean_run_s, 1) / greatest(target_s, 0.001)),
                 (select max_running from queue.queues where name = of_queue)
             ) / fleet.slots)::bigint end
    from waiting, running, fleet
$$;

-- All jobs, live and ended, for people with psql.
create or replace view jobs as
select
    j.id, j.queue, j.kind, j.state, j.args, j.attempt, j.max_attempts, j.priority,
    j.created_at, j.run_at, j.started_at, j.finished_at, w.name as worker,
    j.errors -> -1 ->> 'error' as last_error, j.errors, j.idempotency_key,
    j.args ->> 'collection_id' as collection_id,
    j.errors -> -1 ->> 'code' as last_error_code, j.group_id, j.concurrency_key, j.end_as, j.traceparent
from (
    select id, queue, kind, state, args, attempt, max_attempts, priority, created_at, run_at, started_at,
           null::timestamptz as finished_at, worker_id, errors, idempotency_key, group_id, concurrency_key, end_as,
           traceparent
    from queue.live_jobs
    union all
    select id, queue, kind, state, args, attempt, max_attempts, priority, created_at, run_at, started_at,
           finished_at, worker_id, errors, idempotency_key, group_id, concurrency_key, null, traceparent
    from queue.job_history
) j
left join queue.workers w on w.id = j.worker_id;
