-- The call that probes a half-open circuit dies with its worker, and nobody tells how it ended. It was waited for until its time
-- would have been up, 35 s; now another one probes as soon as its worker is missed. The rest of the function is as before.

-- Gives permits to the callers of one process: a call for each of `_collections`, in that order, as far as they may leave from
-- `_lead` seconds from now, when the answer is there, and within `_horizon` seconds after that. `obstacle` tells why the others
-- got none, and `ask_at` when to ask again. `_intervals` and `_tolerances` are those of the configured limits, in seconds. To be
-- called in a transaction of its own, which does not wait for the disk.
create or replace function grant_calls(
    _source text, _worker_id bigint, _collections uuid[], _pages integer[], _waited_ms integer[],
    _intervals double precision[], _tolerances double precision[], _concurrency integer,
    _lead double precision, _horizon double precision,
    out asked_at timestamptz, out ids bigint[], out departures timestamptz[],
    out obstacle call_obstacle, out ask_at timestamptz
) language plpgsql as $$
declare
    -- A call has ended by then, since its time is up.
    call_max constant interval := interval '35 s';
    limits call_limits;
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
        renewed := true;
    end if;
    if limits.granted = 0 and cardinality(limits.next_at) = 0 then
        limits.next_at := array(select asked_at from unnest(_intervals));
    elsif renewed then
        -- As much as can be used up: what may have left is not known, or was counted by other limits.
        limits.next_at := array(
            select until + make_interval(secs => l.tolerance + l.spacing)
            from unnest(_intervals, _tolerances) with ordinality as l (spacing, tolerance, place) order by l.place);
    else
        -- No turn is further away than this, unless the clock was set back.
        limits.next_at := array(
            select least(l.next, greatest(until, limits.silent_until) + make_interval(secs => l.tolerance + 16 * l.spacing))
            from unnest(limits.next_at, _intervals, _tolerances) with ordinality as l (next, spacing, tolerance, place)
            order by l.place);
    end if;
    pace := call_pace(limits, asked_at);
    select * into planned from call_turns(
        limits.next_at, array(select l.spacing / pace from unnest(_intervals) with ordinality as l (spacing, place) order by l.place),
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
        ask_at := asked_at + case when limits.open_until is not null then interval '1 s' else interval '50 ms' end;
    end if;
end $$;
