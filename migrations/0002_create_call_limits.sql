-- How many calls a source gets from the whole fleet, and the ledger of those calls.
-- docs/adr/0006-fleet-wide-call-limit.md says how it works; core/src/call_limit/ is the only code that names
-- these tables.

create type call_obstacle as enum ('limit', 'concurrency', 'silence', 'open', 'held');
create type call_ending as enum ('answered', 'refused', 'denied', 'failed', 'aside');

create table call_limits (
    source text primary key references sources on delete cascade,
    intervals double precision[] not null default '{}',
    tolerances double precision[] not null default '{}',
    next_at timestamptz[] not null default '{}',
    silent_until timestamptz,
    silent_since timestamptz,
    refused_at timestamptz,
    announced_calls integer,
    announced_per_s double precision,
    announced_interval_s double precision,
    announced_at timestamptz,
    pace double precision not null default 1,
    paced_at timestamptz,
    failures_in_row integer not null default 0,
    denials_in_row integer not null default 0,
    openings_in_row integer not null default 0,
    open_until timestamptz,
    probe_id bigint,
    probe_until timestamptz,
    held_at timestamptz,
    granted bigint not null default 0,
    missed bigint not null default 0,
    refused bigint not null default 0,
    failed bigint not null default 0,
    silences bigint not null default 0,
    openings bigint not null default 0,
    constraint call_limits_one_next_at_a_limit check (
        cardinality(intervals) = cardinality(next_at) and cardinality(tolerances) = cardinality(next_at)),
    constraint call_limits_announced_whole check (
        num_nulls(announced_calls, announced_per_s, announced_interval_s) in (0, 3)),
    constraint call_limits_pace_is_a_part check (pace > 0 and pace <= 1),
    constraint call_limits_probe_while_open check (probe_id is null or open_until is not null)
) with (fillfactor = 10); -- updated with each grant: room for HOT updates
comment on column call_limits.intervals is 'seconds between two calls by each limit, the announced one last';
comment on column call_limits.tolerances is 'how many seconds before its theoretical arrival time a call may leave: what a burst is made of';
comment on column call_limits.next_at is 'the theoretical arrival time (GCRA) of the next call, by each limit';
comment on column call_limits.refused_at is 'when a 429 was counted last; one of a call that left before belongs to the same lot';
comment on column call_limits.announced_calls is 'a limit that the source tells in its headers and that is lower than the configured';
comment on column call_limits.silent_since is 'when the silence was asked for';
comment on column call_limits.announced_at is 'when the source announced that limit last, or up to ten seconds before';
comment on column call_limits.pace is 'the part of the configured rate that was left at paced_at, since when it recovers';
comment on column call_limits.open_until is 'the circuit is open until then, and half open after it; null when it is closed';
comment on column call_limits.probe_until is 'when the call that probes a half-open circuit has ended at the latest';

-- Which rows of call_limits are surely the latest. Grants are committed without waiting for the disk; a crash
-- of Postgres may forget the last of them, and it empties an unlogged table. A source that is not in here
-- counts as used up.
create unlogged table call_limits_warm (source text primary key);

-- Every permit, from before its call leaves: what a crash leaves behind is a row without an end.
create sequence call_ledger_id;
create table call_ledger (
    id bigint not null default nextval('call_ledger_id'),
    source text not null,
    worker_id bigint not null,
    collection_id uuid not null,
    call_id bigint not null,
    departs_at timestamptz not null,
    left_at timestamptz,
    waited_ms integer not null,
    ended_at timestamptz,
    status smallint,
    code text,
    bytes bigint,
    took_ms integer,
    primary key (id, departs_at)
) partition by range (departs_at);
alter sequence call_ledger_id owned by call_ledger.id;
create table call_ledger_default partition of call_ledger default;
create index call_ledger_source on call_ledger (source, departs_at, id);
create index call_ledger_under_way on call_ledger (source, departs_at) where ended_at is null;
comment on column call_ledger.departs_at is 'when the call was allowed to leave';
comment on column call_ledger.left_at is 'when it left; null while it is under way, and where a crash has kept it from telling';
comment on column call_ledger.waited_ms is 'from asking for the permit to its time';
comment on column call_ledger.code is 'why the call brought nothing; null when it brought a page';

-- Creates the partitions of the days until `_ahead` days from now (UTC), and drops those that are older than
-- `_keep` days; gives how many it dropped. A day whose rows already went to the default partition stays
-- there.
create function keep_call_ledger(_ahead integer, _keep integer) returns integer language plpgsql as $$
declare
    today date := (now() at time zone 'UTC')::date;
    day date;
    partition text;
    dropped integer := 0;
begin
    for day in select generate_series(today, today + _ahead, interval '1 day')::date loop
        partition := 'call_ledger_' || to_char(day, 'YYYYMMDD');
        if to_regclass(partition) is null then
            begin
                execute format('create table %I partition of call_ledger for values from (%L) to (%L)',
                    partition, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
            exception when check_violation then
                raise notice 'calls of % stay in the default partition', day;
            end;
        end if;
    end loop;
    for partition in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'call_ledger'::regclass
          and c.relname ~ '_[0-9]{8}$' and to_date(right(c.relname, 8), 'YYYYMMDD') < today - _keep
    loop
        execute format('drop table %I', partition);
        dropped := dropped + 1;
    end loop;
    delete from call_ledger_default where departs_at < (today - _keep)::timestamp at time zone 'UTC';
    return dropped;
end $$;
select keep_call_ledger(7, 30);

-- The departures of up to `_wanted` calls that leave from `_from` to `_until`, in order, and the limits'
-- `next_at` after them. `free_at` is the first departure that is too late, or null. Generic cell rate
-- algorithm: a call may leave at the latest `next_at`, less the limit's tolerance, and moves each by its
-- interval.
create function call_departures(
    _next_at timestamptz[], _intervals double precision[], _tolerances double precision[],
    _from timestamptz, _until timestamptz, _wanted integer,
    out departures timestamptz[], out next_at timestamptz[], out free_at timestamptz
) language plpgsql immutable as $$
declare
    departure timestamptz;
begin
    departures := '{}';
    next_at := _next_at;
    for number in 1 .. _wanted loop
        select greatest(_from, max(l.next - make_interval(secs => l.tolerance))) into departure
        from unnest(next_at, _tolerances) as l (next, tolerance);
        if departure > _until then
            free_at := departure;
            return;
        end if;
        departures := departures || departure;
        next_at := array(
            select greatest(l.next, departure) + make_interval(secs => l.spacing)
            from unnest(next_at, _intervals) with ordinality as l (next, spacing, place) order by l.place);
    end loop;
end $$;

-- How much of the configured rate a source gets now: what was left after its last refusal, and a sixtieth
-- more each second.
create function call_pace(_limits call_limits, _at timestamptz) returns double precision language sql immutable as $$
    select least(1, (_limits).pace + coalesce(greatest(0, extract(epoch from _at - (_limits).paced_at)) / 60, 0))
$$;

-- Whether what an answer tells of the limit takes the place of what is known: the distance of the calls by
-- it, null where it tells none. A slower one does at once. One endpoint may tell less than another: what is
-- faster does when the known one was not announced for a minute. (Volatile as `clock_timestamp` is: else it
-- would not be inlined, and be planned at each call.)
create function call_announced_counts(_limits call_limits, _interval_s double precision)
returns boolean language sql as $$
    select coalesce((_limits).announced_interval_s is null
        or _interval_s >= (_limits).announced_interval_s
        or coalesce((_limits).announced_at, '-infinity') < clock_timestamp() - interval '1 min', false)
$$;

-- Whether that is worth writing down.
create function call_announced_is_news(_limits call_limits, _interval_s double precision)
returns boolean language sql as $$
    select call_announced_counts(_limits, _interval_s)
        and ((_limits).announced_interval_s is distinct from _interval_s
             or _interval_s is not null
                and coalesce((_limits).announced_at, '-infinity') < clock_timestamp() - interval '10 s')
$$;

-- `next_at` as it can be at most: what was granted until two seconds ahead, and a silence on
-- top. Those that are further away were given by a clock that was ahead, or wait for the end of a silence
-- that was ended by hand.
create function call_next_at_within(_limits call_limits, _at timestamptz)
returns timestamptz[] language plpgsql immutable as $$
begin
    return array(
        select least(l.next, greatest(_at + interval '2 s', (_limits).silent_until)
            + make_interval(secs => l.tolerance + l.spacing / (_limits).pace))
        from unnest((_limits).next_at, (_limits).intervals, (_limits).tolerances)
            with ordinality as l (next, spacing, tolerance, place)
        order by l.place);
end $$;

-- The same as long as all its times can be of a clock that shows `_at`. A clock that was ahead and was set
-- back leaves times which would keep everybody waiting until it is there again: those are mended.
create function call_limits_within(_limits call_limits, _at timestamptz, _silence_max double precision)
returns call_limits language plpgsql immutable as $$
declare
    -- Clocks are put right by parts of a second every day.
    latest constant timestamptz := _at + interval '1 s';
begin
    -- Silences are longer by up to a tenth.
    if _limits.silent_since > latest
        or _limits.silent_until > latest + make_interval(secs => 1.1 * _silence_max)
    then
        _limits.silent_until := null;
        _limits.silent_since := null;
    end if;
    if _limits.open_until > latest + interval '300 s' then
        _limits.open_until := _at;
    end if;
    if _limits.probe_until > latest + interval '40 s' then
        _limits.probe_id := null;
        _limits.probe_until := null;
    end if;
    if _limits.paced_at > latest then
        _limits.paced_at := _at;
    end if;
    if _limits.refused_at > latest then
        _limits.refused_at := _at;
    end if;
    if _limits.announced_at > latest then
        _limits.announced_at := _at;
    end if;
    _limits.next_at := call_next_at_within(_limits, _at);
    return _limits;
end $$;

-- Gives permits to the callers of one process: a call for each of `_collections`, in that order, as far as
-- they may leave from `_lead` seconds from now, when the answer is there, and within `_horizon` seconds after
-- that. `obstacle` tells why the others got none, and `ask_at` when to ask again. `_intervals` and
-- `_tolerances` are those of the configured limits, in seconds, and no silence lasts longer than
-- `_silence_max`. To be called in a transaction of its own, which does not wait for the disk.
create function grant_calls(
    _source text, _worker_id bigint, _collections uuid[], _calls bigint[], _waited_ms integer[],
    _intervals double precision[], _tolerances double precision[], _concurrency integer,
    _lead double precision, _horizon double precision, _silence_max double precision,
    out asked_at timestamptz, out ids bigint[], out departures timestamptz[],
    out obstacle call_obstacle, out ask_at timestamptz
) language plpgsql as $$
declare
    -- A call has ended by then, since its time is up.
    call_max constant interval := interval '35 s';
    limits call_limits;
    known call_limits;
    pace double precision;
    wanted integer := cardinality(_collections);
    renewed boolean;
    is_probe boolean;
    ahead constant interval := make_interval(secs => _lead + _horizon);
    until timestamptz;
    planned record;
    id bigint;
begin
    perform set_config('synchronous_commit', 'off', true);
    select * into limits from call_limits l where l.source = _source for no key update;
    if not found then
        insert into call_limits (source) values (_source) on conflict do nothing;
        select * into limits from call_limits l where l.source = _source for no key update;
    end if;
    -- Under the lock: whoever had it before has committed, and each statement from here on sees that.
    asked_at := clock_timestamp();
    ids := '{}';
    departures := '{}';
    until := asked_at + ahead;

    known := limits;
    limits := call_limits_within(limits, asked_at, _silence_max);
    if limits is distinct from known then
        raise warning 'the clock was set back: the calls to % go on by what it shows now', _source;
        update call_limits l
        set silent_until = limits.silent_until, silent_since = limits.silent_since,
            open_until = limits.open_until, probe_id = limits.probe_id,
            probe_until = limits.probe_until, paced_at = limits.paced_at, refused_at = limits.refused_at,
            announced_at = limits.announced_at, next_at = limits.next_at
        where l.source = _source;
    end if;

    -- What keeps every call back.
    if limits.held_at is not null then
        obstacle := 'held';
        ask_at := asked_at + interval '30 s';
        return;
    elsif limits.open_until > asked_at then
        obstacle := 'open';
        ask_at := limits.open_until;
        return;
    elsif limits.probe_until > asked_at and not exists (
        -- The probe's own row tells who makes it. One by no worker (0) checks a definition.
        select from call_ledger c
        where c.id = limits.probe_id and c.departs_at = limits.probe_until - call_max
          and c.worker_id <> 0 and not queue.is_present(c.worker_id))
    then
        obstacle := 'open';
        ask_at := least(limits.probe_until, asked_at + interval '1 s');
        return;
    elsif limits.silent_until > until then
        obstacle := 'silence';
        ask_at := limits.silent_until - ahead;
        return;
    end if;
    is_probe := limits.open_until is not null;
    if is_probe then
        wanted := least(wanted, 1);
    end if;
    if _concurrency is not null then
        wanted := greatest(0, least(wanted, _concurrency - (
            select count(*) from call_ledger c
            where c.source = _source and c.ended_at is null and c.departs_at > asked_at - call_max
              and queue.is_present(c.worker_id))::integer));
    end if;

    -- The limits in force.
    if limits.announced_interval_s is not null then
        _intervals := _intervals || limits.announced_interval_s;
        _tolerances := _tolerances || 0::double precision;
    end if;
    renewed := limits.intervals <> _intervals or limits.tolerances <> _tolerances;
    if not exists (select from call_limits_warm w where w.source = _source) then
        insert into call_limits_warm values (_source) on conflict do nothing;
        -- What `next_at` says is perhaps not the latest.
        limits.intervals := '{}';
        renewed := true;
    end if;
    if limits.granted = 0 and cardinality(limits.next_at) = 0 then
        limits.next_at := array(select asked_at from unnest(_intervals));
    elsif renewed then
        -- A limit that was there before goes on. Of another one as much as can be used up is: what may have
        -- left is not known, or was counted by other limits.
        limits.next_at := array(
            select case when l.spacing = o.spacing and l.tolerance = o.tolerance then o.next
                else until + make_interval(secs => l.tolerance + l.spacing) end
            from unnest(_intervals, _tolerances) with ordinality as l (spacing, tolerance, place)
            left join unnest(limits.intervals, limits.tolerances, limits.next_at)
                with ordinality as o (spacing, tolerance, next, place) using (place)
            order by place);
    end if;
    pace := call_pace(limits, asked_at);
    select * into planned from call_departures(
        limits.next_at,
        array(
            select l.spacing / pace from unnest(_intervals) with ordinality as l (spacing, place)
            order by l.place),
        _tolerances, greatest(asked_at + make_interval(secs => _lead), limits.silent_until), until, wanted);
    departures := planned.departures;

    for number in 1 .. cardinality(departures) loop
        insert into call_ledger (source, worker_id, collection_id, call_id, departs_at, waited_ms)
        values (_source, _worker_id, _collections[number], _calls[number], departures[number],
                _waited_ms[number] + (extract(epoch from departures[number] - asked_at) * 1000)::integer)
        returning call_ledger.id into id;
        ids := ids || id;
    end loop;
    if cardinality(ids) > 0 or renewed then
        is_probe := is_probe and cardinality(ids) > 0;
        update call_limits l
        set intervals = _intervals, tolerances = _tolerances, next_at = planned.next_at,
            granted = l.granted + cardinality(ids),
            probe_id = case when is_probe then ids[1] else l.probe_id end,
            probe_until = case when is_probe then departures[1] + call_max else l.probe_until end
        where l.source = _source;
    end if;

    if planned.free_at is not null then
        obstacle := 'limit';
        ask_at := planned.free_at - ahead;
    elsif cardinality(ids) < cardinality(_collections) then
        obstacle := case when limits.open_until is not null then 'open' else 'concurrency' end;
        ask_at := asked_at
            + case when limits.open_until is not null then interval '1 s' else interval '50 ms' end;
    end if;
end $$;

-- Notes the end of a permit's call, and what it says of the source for the whole fleet; gives whether the
-- circuit is open. `_late` and `_silence` are seconds, how much later than allowed the call left and for how
-- long nobody is to call, if so. `_calls`, `_per_s` and `_interval_s` are the limit to keep that the answer
-- announces, null where it announces none; `_names_limit` tells whether it speaks of any. Locks the source's
-- row only when the call changes what is known of it. To be called in a transaction of its own, which does
-- not wait for the disk.
create function end_call(
    _source text, _id bigint, _departs_at timestamptz, _late double precision, _took_ms integer,
    _status smallint, _code text, _bytes bigint, _ending call_ending, _names_limit boolean,
    _calls integer, _per_s double precision, _interval_s double precision, _silence double precision
) returns boolean language plpgsql as $$
declare
    -- So many failed calls in a row, of the whole fleet, open the circuit, and so many whose credentials were
    -- not accepted.
    failures_max constant integer := 5;
    denials_max constant integer := 3;
    -- How many seconds it stays open the first time, and at most; each time in a row it is twice as long.
    open_first constant double precision := 5;
    open_max constant double precision := 300;
    -- What a refusal that names no limit leaves of the pace, and the least that is left after many.
    pace_left constant double precision := 0.7;
    pace_min constant double precision := 1.0 / 16;
    -- A silence is longer by up to this part of it, so that we do not come back at the very moment when
    -- others do.
    jitter constant double precision := 0.1;
    silent_until_then timestamptz;
    known call_limits;
    is_refused constant boolean := _ending = 'refused';
    is_news boolean;
    slows boolean;
    failures integer;
    denials integer;
    opens boolean;
begin
    perform set_config('synchronous_commit', 'off', true);
    update call_ledger c
    set left_at = c.departs_at + make_interval(secs => _late), ended_at = clock_timestamp(), status = _status,
        code = _code, bytes = _bytes, took_ms = _took_ms
    where c.id = _id and c.departs_at = _departs_at;

    if _ending = 'aside' then
        -- It counts neither for nor against the circuit. One that probed it by chance leaves that to another.
        update call_limits l set probe_id = null, probe_until = null
        where l.source = _source and l.probe_id = _id;
        return false;
    end if;

    -- A limit that a source has not announced again for a while is forgotten when it answers. An error that
    -- tells none changes nothing: it often comes from something in front of the source.
    if _ending = 'answered' or _names_limit then
        update call_limits l
        set announced_calls = _calls, announced_per_s = _per_s, announced_interval_s = _interval_s,
            announced_at = clock_timestamp()
        where l.source = _source and call_announced_is_news(l, _interval_s);
    end if;

    -- A burst has to be earned anew after a silence.
    if _silence is not null then
        silent_until_then := clock_timestamp() + make_interval(secs => _silence * (1 + jitter * random()));
        update call_limits l
        set silent_until = silent_until_then, silent_since = clock_timestamp(), silences = l.silences + 1,
            next_at = array(
                select greatest(t.next, silent_until_then + make_interval(secs => t.tolerance))
                from unnest(l.next_at, l.tolerances) with ordinality as t (next, tolerance, place)
                order by t.place)
        where l.source = _source and (l.silent_until is null or l.silent_until < silent_until_then);
    end if;

    if _ending = 'answered' then
        update call_limits l
        set failures_in_row = 0, denials_in_row = 0, openings_in_row = 0,
            open_until = null, probe_id = null, probe_until = null
        where l.source = _source
          and (l.failures_in_row > 0 or l.denials_in_row > 0 or l.open_until is not null);
        return false;
    end if;

    select * into known from call_limits l where l.source = _source for no key update;
    -- Calls that left before another one was refused belong to the same lot: their refusals slow down once
    -- and add nothing. Nor do calls that were under way when the circuit opened open it again.
    is_news := not is_refused or known.refused_at is null or known.refused_at < _departs_at;
    slows := is_refused and is_news and not _names_limit;
    failures := known.failures_in_row + is_news::integer;
    denials := known.denials_in_row + (is_news and _ending = 'denied')::integer;
    opens := coalesce(known.probe_id = _id, false)
        or (known.open_until is null and (failures >= failures_max or denials >= denials_max));
    update call_limits l
    set failures_in_row = failures, denials_in_row = denials,
        failed = l.failed + (not is_refused)::integer,
        refused = l.refused + is_refused::integer,
        refused_at = case when is_refused then clock_timestamp() else l.refused_at end,
        pace = case
            when slows then greatest(pace_min, call_pace(l, clock_timestamp()) * pace_left)
            else l.pace end,
        paced_at = case when slows then clock_timestamp() else l.paced_at end,
        openings = l.openings + opens::integer,
        openings_in_row = l.openings_in_row + opens::integer,
        open_until = case
            when opens then clock_timestamp()
                + make_interval(secs => least(open_max, open_first * power(2, least(l.openings_in_row, 30))))
            else l.open_until end,
        probe_id = case when opens then null else l.probe_id end,
        probe_until = case when opens then null else l.probe_until end
    where l.source = _source;
    return coalesce(opens or known.open_until is not null, false);
end $$;
