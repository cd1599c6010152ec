-- One order for all jobs that may run, and claims whose work is bounded however many jobs are due: with concurrency keys by the
-- jobs and keys that a claim looks at, and by how many jobs of each of these keys run.

alter table queue.queues
    add column looked_to_key text,
    add column looked_to_turn timestamptz,
    add column looked_to_id bigint,
    add column lap_began_at timestamptz,
    add column lap_found_any boolean not null default false;
comment on column queue.queues.looked_to_key is
    'where claims of a queue with max_running_per_key go on among the keys when the jobs in front are held up; null: at the first';
comment on column queue.queues.looked_to_turn is
    'with looked_to_id: where they go on among the jobs without a key; null: at the front';
comment on column queue.queues.lap_began_at is 'when they last began at the front';
comment on column queue.queues.lap_found_any is 'whether they have found a job without a key since then';

-- Makes jobs whose time has come available, in the order of their times, so that they take their place by turn: at most 1,000
-- at once, so that no claim takes long. Those that somebody has locked are left for the next claim.
create function queue.make_due_available(of_queue text) returns void language plpgsql as $$
begin
    -- Mostly nothing is due, and one index entry tells.
    if exists (
        select from queue.live_jobs
        where queue = of_queue and state in ('scheduled', 'retryable') and run_at <= now()
    ) then
        update queue.live_jobs set state = 'available' where id = any(array(
            select id from queue.live_jobs
            where queue = of_queue and state in ('scheduled', 'retryable') and run_at <= now()
            order by run_at limit 1000
            for update skip locked
        ));
    end if;
end $$;

-- Locks those of these jobs that are still available and that nobody else has locked. (Were the state named in the condition, a
-- planner that knows of few available jobs would read them all to find these.)
create function queue.lock_available(ids bigint[], out locked bigint[], out keys text[]) language plpgsql as $$
begin
    with found as materialized (
        select id, state, concurrency_key from queue.live_jobs where id = any(ids) for update skip locked
    )
    select coalesce(array_agg(id), '{}'), coalesce(array_agg(concurrency_key), '{}') into locked, keys
    from found where state = 'available';
end $$;

-- How many more jobs with a key may start: reads an index entry for each that runs, so a claim asks once for a key. (By ranges
-- and in order, since a planner without statistics would take an equality for a filter of all that run.)
create function queue.room_for_key(limits queue.queues, key text) returns bigint language plpgsql as $$
begin
    return limits.max_running_per_key - (
        select count(*) from (
            select from queue.live_jobs
            where queue = limits.name and state = 'running' and concurrency_key >= key and concurrency_key <= key
            order by concurrency_key limit limits.max_running_per_key
        ) running);
end $$;

-- Those of the first `window_size` available jobs whose keys have room for them, by turn, at most `room`.
create function queue.startable(limits queue.queues, room integer, window_size integer) returns bigint[]
language plpgsql as $$
begin
    return array(
        select id from (
            select id, turn, key, nth, max(key_room) over (partition by key) as key_room from (
                select id, turn, key, nth,
                       case when nth = 1 and key is not null then queue.room_for_key(limits, key) end as key_room
                from (
                    select id, turn, key, row_number() over (partition by key order by turn, id) as nth from (
                        select id, turn, concurrency_key as key from queue.live_jobs
                        where queue = limits.name and state = 'available'
                        order by turn, id limit window_size
                    ) front
                ) of_key
            ) counted
        ) judged
        where key is null or nth <= key_room
        order by turn, id limit room);
end $$;

-- Jobs of the keys behind the one that a claim before looked at last, around to the first key: at most `room`, of at most 1,000
-- keys, for each of which what runs is counted. Jobs of one key by turn.
create function queue.pick_next_keys(limits queue.queues, room integer, picked bigint[], picked_keys text[])
returns bigint[] language plpgsql as $$
declare
    found_ids bigint[] := '{}';
    key text := limits.looked_to_key;
    key_room bigint;
    is_second_half boolean := key is null;
begin
    if room <= 0 then
        return found_ids;
    end if;
    for n in 1..1000 loop
        exit when cardinality(found_ids) >= room;
        if key is null then
            select concurrency_key into key from queue.live_jobs
            where queue = limits.name and state = 'available' and concurrency_key is not null
            order by concurrency_key limit 1;
        else
            select concurrency_key into key from queue.live_jobs
            where queue = limits.name and state = 'available' and concurrency_key > key
            order by concurrency_key limit 1;
        end if;
        if key is null then
            exit when is_second_half;
            is_second_half := true;
            continue;
        end if;
        exit when is_second_half and key > limits.looked_to_key;
        key_room := queue.room_for_key(limits, key);
        continue when key_room <= 0;
        key_room := key_room - cardinality(array_positions(picked_keys, key));
        found_ids := found_ids || array(
            select id from queue.live_jobs
            where queue = limits.name and state = 'available' and id <> all(picked)
              and concurrency_key >= key and concurrency_key <= key  -- an equality could be taken for a filter of the others
            order by concurrency_key, turn, id
            limit greatest(0, least(room - cardinality(found_ids), key_room))
            for update skip locked);
    end loop;
    update queue.queues set looked_to_key = key where name = limits.name and looked_to_key is distinct from key;
    return found_ids;
end $$;

-- Jobs without a key by turn, behind the place that a claim before came to: at most `room`, among the next 20,000 jobs. A lap
-- ends behind the end of the queue, or behind what there was when it began, so that a queue that gets more than it can do
-- leaves nobody out. The next one begins at once where it found any, and otherwise a second after it began, since mostly there
-- are none to find.
create function queue.pick_without_key(limits queue.queues, room integer, picked bigint[])
returns bigint[] language plpgsql as $$
declare
    found_ids bigint[];
    reached record;
begin
    if limits.looked_to_turn is null or limits.looked_to_turn > limits.lap_began_at then
        if not limits.lap_found_any and limits.lap_began_at > now() - interval '1 second' then
            return '{}';
        end if;
        limits.lap_began_at := now();
        limits.lap_found_any := false;
        limits.looked_to_turn := '-infinity';
        limits.looked_to_id := 0;
    end if;
    if room <= 0 then
        return '{}';
    end if;
    found_ids := array(
        select id from (
            select id, turn, concurrency_key from queue.live_jobs
            where queue = limits.name and state = 'available'
              and (turn, id) > (limits.looked_to_turn, limits.looked_to_id)
            order by turn, id limit 20000
        ) next_jobs
        where concurrency_key is null and id <> all(picked)
        order by turn, id limit room);
    if cardinality(found_ids) = room then
        select turn, id into reached from queue.live_jobs where id = found_ids[room];
    else
        select turn, id into reached from queue.live_jobs
        where queue = limits.name and state = 'available'
          and (turn, id) > (limits.looked_to_turn, limits.looked_to_id)
        order by turn, id offset 19999 limit 1;
    end if;
    update queue.queues
    set looked_to_turn = reached.turn, looked_to_id = reached.id, lap_began_at = limits.lap_began_at,
        lap_found_any = limits.lap_found_any or cardinality(found_ids) > 0
    where name = limits.name;
    return (queue.lock_available(found_ids)).locked;
end $$;

-- At most `room` jobs of a queue that limits its keys, locked: by turn among the first 1,000 that are available. Where most of
-- these are held up by their keys the rest comes from behind them, from key to key and from the jobs without one; a lot decides
-- who is asked first, so that neither holds up the other.
create function queue.pick_by_key(limits queue.queues, room integer) returns bigint[] language plpgsql as $$
declare
    picked bigint[];
    picked_keys text[];
begin
    -- Mostly the first ones may all start, and no more need be read.
    picked := queue.startable(limits, room, least(room, 1000));
    if cardinality(picked) < room and room < 1000 then
        picked := queue.startable(limits, room, 1000);
    end if;
    select locked, keys into picked, picked_keys from queue.lock_available(picked);
    if cardinality(picked) >= room or not exists (
        select from queue.live_jobs where queue = limits.name and state = 'available' order by turn, id offset 1000 limit 1
    ) then
        return picked;
    end if;
    if random() < 0.5 then
        picked := picked || queue.pick_without_key(limits, room - cardinality(picked), picked);
        return picked || queue.pick_next_keys(limits, room - cardinality(picked), picked, picked_keys);
    end if;
    picked := picked || queue.pick_next_keys(limits, room - cardinality(picked), picked, picked_keys);
    return picked || queue.pick_without_key(limits, room - cardinality(picked), picked);
end $$;

-- The jobs that may run now in a queue that has limits, at most `most`, locked. Claims of one such queue come here one after
-- the other, since each must see what the one before it took; what is running is counted from the jobs themselves, so a
-- limit survives any crash.
create or replace function queue.pick_limited(of_queue text, most integer) returns bigint[] language plpgsql as $$
declare
    limits queue.queues;
    room integer := most;
begin
    perform pg_advisory_xact_lock(1919251315, hashtext(of_queue));  -- "reqs" in ASCII
    select * into limits from queue.queues where name = of_queue;
    if limits.paused_at is not null then
        return '{}';
    end if;
    if limits.max_running is not null then
        room := least(room, limits.max_running - (
            select count(*) from queue.live_jobs where queue = of_queue and state = 'running'));
    end if;
    if room <= 0 then
        return '{}';
    end if;
    perform queue.make_due_available(of_queue);
    if limits.max_running_per_key is not null then
        return queue.pick_by_key(limits, room);
    end if;
    return array(
        select id from queue.live_jobs where queue = of_queue and state = 'available'
        order by turn, id limit room
        for update skip locked);
end $$;

-- Claims at most `most` jobs of a queue for a worker: those whose turn came first, behind the place (`after_turn`,
-- `after_id`). What is due is made available before, since only available jobs are in the order of their turns. Rows that
-- another claim has locked are skipped, never waited for. Each index is read in its own order and only as far as needed: a
-- planner without statistics, as after a burst of new jobs, would rather read the whole queue and sort it, so it is not asked.
create or replace function queue.claim(
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
        perform queue.make_due_available(of_queue);
        picked := array(
            select id from queue.live_jobs
            where queue = of_queue and state = 'available' and (turn, id) > (after_turn, after_id)
            order by turn, id limit most
            for update skip locked
        );
    end if;
    return query
        update queue.live_jobs
        set state = 'running', attempt = attempt + 1, fence = fence + 1, worker_id = worker,
            started_at = now(), lease_until = now() + make_interval(secs => lease_s)
        where id = any(picked)
        returning *;
end $$;

-- How many jobs of its queue come before a waiting one by turn: available ones, and those that are due and that the next
-- claims will make available. Counts 10,000 available ones at most, and looks at as many that are due; where there are more,
-- the number is not exact.
create function queue.jobs_ahead(job queue.live_jobs) returns table (ahead bigint, is_exact boolean)
language sql stable set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
    with available as (
        select count(*) as n from (
            select from queue.live_jobs j
            where j.queue = job.queue and j.state = 'available' and (j.turn, j.id) < (job.turn, job.id)
            limit 10001) front
    ), due as (
        select count(*) as looked_at, count(*) filter (where (turn, id) < (job.turn, job.id)) as n from (
            select turn, id from queue.live_jobs j
            where j.queue = job.queue and j.state in ('scheduled', 'retryable') and j.run_at <= now()
            order by run_at limit 10001) first
    )
    select least(available.n + due.n, 10000), due.looked_at <= 10000 and available.n + due.n <= 10000
    from available, due
$$;

-- Why a job does not run: one row a reason, the most decisive first.
create or replace function queue.why_not_running(job_id bigint)
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
            case when c.is_exact and c.ahead = 0 then 'the job is next in its queue'
                 when c.is_exact then c.ahead || ' jobs are in front of it'
                 else 'at least ' || c.ahead || ' jobs are in front of it' end,
            null::timestamptz, c.ahead
        from queue.jobs_ahead(job) c;
    end if;
end $$;
