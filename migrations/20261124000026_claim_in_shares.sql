-- Workers that share their slots of a queue among concurrency keys, and groups of jobs that take turns within a key: so neither a
-- key nor a group with many jobs keeps the others waiting.

create index live_jobs_available_of_group on queue.live_jobs (queue, concurrency_key, coalesce(group_id, 0), turn, id)
    where state = 'available' and concurrency_key is not null;

alter table queue.worker_queues add column in_shares boolean not null default false;
comment on column queue.worker_queues.in_shares is 'whether the worker shares its slots of the queue among the concurrency keys';

-- How many jobs a claim may take of a queue that has limits, at most `most`. Claims of one such queue come here one after the
-- other, since each must see what the one before it took; what is running is counted from the jobs themselves, so a limit
-- survives any crash.
create function queue.room_below_limits(of_queue text, most integer) returns integer language plpgsql as $$
declare
    limits queue.queues;
begin
    perform pg_advisory_xact_lock(1919251315, hashtext(of_queue));  -- "reqs" in ASCII
    select * into limits from queue.queues where name = of_queue;
    if limits.paused_at is not null then
        return 0;
    end if;
    return least(most, limits.max_running - (
        select count(*) from queue.live_jobs
        where queue = of_queue and state = 'running' and limits.max_running is not null));
end $$;

-- The jobs that may run now in a queue that has limits, at most `most`, locked.
create or replace function queue.pick_limited(of_queue text, most integer) returns bigint[] language plpgsql as $$
declare
    room integer := queue.room_below_limits(of_queue, most);
    limits queue.queues;
begin
    if room <= 0 then
        return '{}';
    end if;
    perform queue.make_due_available(of_queue);
    select * into limits from queue.queues where name = of_queue;
    if limits.max_running_per_key is not null then
        return queue.pick_by_key(limits, room);
    end if;
    return array(
        select id from queue.live_jobs where queue = of_queue and state = 'available'
        order by turn, id limit room
        for update skip locked);
end $$;

-- The concurrency keys of the available jobs of a queue: one index entry is read for each.
create function queue.available_keys(of_queue text) returns setof text language plpgsql as $$
declare
    key text;
begin
    select concurrency_key into key from queue.live_jobs
    where queue = of_queue and state = 'available' and concurrency_key is not null
    order by concurrency_key limit 1;
    while key is not null loop
        return next key;
        select concurrency_key into key from queue.live_jobs
        where queue = of_queue and state = 'available' and concurrency_key > key
        order by concurrency_key limit 1;
    end loop;
end $$;

-- How many jobs each key gets of the `free` slots of a worker that holds `held` jobs of these `keys`: no key gets a slot that
-- would leave fewer free than the key has. Who has least comes first; among equals a lot decides, so that of more keys than slots
-- none is always the last. (Dynamic thresholds with alpha = 1: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6 (2), 1998.)
create function queue.shares(of_queue text, free integer, keys text[], held integer[])
returns table (key text, share bigint) language sql as $$
    select key, count(*) from (
        select key, would_hold, row_number() over (order by would_hold, random()) as nth
        from (
            select k.key, coalesce(h.held, 0) + row_number() over (partition by k.key) as would_hold
            from queue.available_keys(of_queue) k (key)
            left join unnest(keys, held) h (key, held) on h.key = k.key
            cross join lateral (
                select from queue.live_jobs j
                where j.queue = of_queue and j.state = 'available' and j.concurrency_key >= k.key and j.concurrency_key <= k.key
                order by j.concurrency_key limit greatest(free - coalesce(h.held, 0), 0)
            ) waiting
        ) wanted
    ) in_line
    where would_hold + nth <= free + 1
    group by key
$$;

-- At most `room` available jobs with a key, locked: one of each group by turn, from group to group behind the one that had the last
-- turn, and around. Jobs without a group take turns as one.
create function queue.pick_of_groups(of_queue text, key text, room bigint, behind bigint) returns bigint[] language plpgsql as $$
declare
    picked bigint[] := '{}';
    current bigint := coalesce(behind, -1);
    candidate bigint;
    lap_found_any boolean := true;
begin
    while cardinality(picked) < room loop
        select coalesce(group_id, 0) into current from queue.live_jobs
        where queue = of_queue and state = 'available' and concurrency_key = key and coalesce(group_id, 0) > current
        order by queue, concurrency_key, coalesce(group_id, 0) limit 1;
        if current is null then
            exit when not lap_found_any;
            lap_found_any := false;
            current := -1;
            continue;
        end if;
        select id into candidate from queue.live_jobs
        where queue = of_queue and state = 'available' and concurrency_key = key and coalesce(group_id, 0) = current
          and id <> all(picked)
        order by queue, concurrency_key, coalesce(group_id, 0), turn, id limit 1
        for update skip locked;
        if candidate is not null then
            picked := picked || candidate;
            lap_found_any := true;
        end if;
    end loop;
    return picked;
end $$;

-- The jobs that a worker takes with its `free` slots, at most `room`, locked. Where it has room for more than the keys get, those
-- of the first 1,000 jobs by turn that have no key.
create function queue.pick_in_shares(
    of_queue text, free integer, room integer, keys text[], held integer[], behind bigint[]
) returns bigint[] language plpgsql as $$
declare
    limits queue.queues;
    picked bigint[] := '{}';
    next record;
begin
    select * into limits from queue.queues where name = of_queue;
    for next in select s.key, s.share, h.behind from queue.shares(of_queue, free, keys, held) s
                left join unnest(keys, behind) h (key, behind) on h.key = s.key loop
        if limits.max_running_per_key is not null then
            next.share := least(next.share, queue.room_for_key(limits, next.key));
        end if;
        picked := picked || queue.pick_of_groups(of_queue, next.key, least(next.share, room - cardinality(picked)), next.behind);
    end loop;
    return picked || (queue.lock_available(array(
        select id from (
            select id, turn, concurrency_key from queue.live_jobs where queue = of_queue and state = 'available'
            order by turn, id limit case when cardinality(picked) < room then 1000 else 0 end
        ) front
        where concurrency_key is null
        order by turn, id limit room - cardinality(picked)))).locked;
end $$;

-- Claims jobs of a queue for a worker that shares its slots of the queue: `free` of them, beside those in which it `held` jobs of
-- these `keys`; `behind` has the group of each key that had the last turn. Obeys the limits of the queue.
create function queue.claim_in_shares(
    of_queue text, worker bigint, free integer, lease_s float8, keys text[], held integer[], behind bigint[]
) returns setof queue.live_jobs language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
declare
    picked bigint[];
    room integer := free;
begin
    if exists (
        select from queue.queues where name = of_queue
          and (paused_at is not null or max_running is not null or max_running_per_key is not null)
    ) then
        room := queue.room_below_limits(of_queue, free);
        if room <= 0 then
            return;
        end if;
    end if;
    perform queue.make_due_available(of_queue);
    picked := queue.pick_in_shares(of_queue, free, room, keys, held, behind);
    return query
        update queue.live_jobs
        set state = 'running', attempt = attempt + 1, fence = fence + 1, worker_id = worker,
            started_at = now(), lease_until = now() + make_interval(secs => lease_s)
        where id = any(picked)
        returning *;
end $$;

-- How many available jobs of its key and group come before a waiting one by turn, at most 10,000.
create function queue.group_jobs_ahead(job queue.live_jobs) returns bigint
language sql stable set enable_seqscan = off set enable_bitmapscan = off set jit = off as $$
    select count(*) from (
        select from queue.live_jobs j
        where j.queue = job.queue and j.state = 'available' and j.concurrency_key = job.concurrency_key
          and coalesce(j.group_id, 0) = coalesce(job.group_id, 0) and (j.turn, j.id) < (job.turn, job.id)
        order by j.queue, j.concurrency_key, coalesce(j.group_id, 0), j.turn, j.id limit 10000) front
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
    if job.concurrency_key is not null and exists (
        select from queue.worker_queues q join queue.workers w on w.id = q.worker_id
        where q.queue = job.queue and q.in_shares and w.stopped_at is null
    ) then
        return query select 'behind',
            case when c.ahead = 0 then 'the job is the next one of its group'
                 else c.ahead || ' jobs of its group are in front of it' end
                || ', and other groups and keys have their turns beside it',
            null::timestamptz, c.ahead
        from queue.group_jobs_ahead(job) c (ahead);
        return;
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
