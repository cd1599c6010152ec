-- Limits that settle, silences that can be ended, and times of a clock that was ahead. core/src/call_limit/
-- is the only code that names these tables.

alter table call_limits add told_at timestamptz, add silent_since timestamptz;
comment on column call_limits.told_at is 'when the source told that limit last, or up to ten seconds before';
comment on column call_limits.silent_since is 'when the silence was asked for';

-- Whether what an answer tells of the limit takes the place of what is known: the distance of the calls by
-- it, null where it tells none. A slower one does at once. One endpoint may tell less than another: what is
-- faster does when the known one was not told for a minute.
create function call_told_counts(_limits call_limits, _interval_s double precision)
returns boolean language sql stable as $$
    select coalesce((_limits).told_interval_s is null
        or _interval_s >= (_limits).told_interval_s
        or coalesce((_limits).told_at, '-infinity') < clock_timestamp() - interval '1 min', false)
$$;

-- Whether that is worth writing down.
create function call_told_is_news(_limits call_limits, _interval_s double precision)
returns boolean language sql stable as $$
    select call_told_counts(_limits, _interval_s)
        and ((_limits).told_interval_s is distinct from _interval_s
             or _interval_s is not null
                and coalesce((_limits).told_at, '-infinity') < clock_timestamp() - interval '10 s')
$$;

-- The turns of the limits as they can be at most: what was granted until two seconds ahead, and a silence on
-- top. Those that are further away were given by a clock that was ahead, or wait for the end of a silence
-- that was ended by hand.
create function call_turns_within(_limits call_limits, _at timestamptz)
returns timestamptz[] language sql immutable as $$
    select array(
        select least(l.next, greatest(_at + interval '2 s', (_limits).silent_until)
            + make_interval(secs => l.tolerance + l.spacing / (_limits).pace))
        from unnest((_limits).next_at, (_limits).intervals, (_limits).tolerances)
            with ordinality as l (next, spacing, tolerance, place)
        order by l.place)
$$;

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
    if _limits.told_at > latest then
        _limits.told_at := _at;
    end if;
    _limits.next_at := call_turns_within(_limits, _at);
    return _limits;
end $$;

drop function grant_calls(
    text, bigint, uuid[], integer[], integer[], double precision[], double precision[], integer,
    double precision, double precision);

-- Gives permits to the callers of one process: a call for each of `_collections`, in that order, as far as
-- they may leave from `_lead` seconds from now, when the answer is there, and within `_horizon` seconds after
-- that. `obstacle` tells why the others got none, and `ask_at` when to ask again. `_intervals` and
-- `_tolerances` are those of the configured limits, in seconds, and no silence lasts longer than
-- `_silence_max`. To be called in a transaction of its own, which does not wait for the disk.
create function grant_calls(
    _source text, _worker_id bigint, _collections uuid[], _pages integer[], _waited_ms integer[],
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
            open_until = limits.open_until, probe_id = limits.probe_id, probe_until = limits.probe_until, paced_at = limits.paced_at,
            refused_at = limits.refused_at, told_at = limits.told_at, next_at = limits.next_at
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
    if limits.told_interval_s is not null then
        _intervals := _intervals || limits.told_interval_s;
        _tolerances := _tolerances || 0::double precision;
    end if;
    renewed := limits.intervals <> _intervals or limits.tolerances <> _tolerances;
    if not exists (select from call_limits_warm w where w.source = _source) then
        insert into call_limits_warm values (_source) on conflict do nothing;
        -- The turns are perhaps not the latest.
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
    select * into planned from call_turns(
        limits.next_at,
        array(
            select l.spacing / pace from unnest(_intervals) with ordinality as l (spacing, place)
            order by l.place),
        _tolerances, greatest(asked_at + make_interval(secs => _lead), limits.silent_until), until, wanted);
    departures := planned.turns;

    for number in 1 .. cardinality(departures) loop
        insert into call_ledger (source, worker_id, collection_id, page, departs_at, waited_ms)
        values (_source, _worker_id, _collections[number], _pages[number], departures[number],
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
