-- A follow-up without attempts could not be enqueued, and its group would stay open.
alter table queue.groups add constraint groups_max_attempts_positive check (max_attempts > 0) not valid;

-- Enqueues the follow-ups of those of the groups that have no live job left and were not finished before; gives their ids. A
-- retry that brings a job back holds the row of its group: what it brought back is seen by the second statement, which begins
-- when the rows are locked. (The first job from a group's id on is one of the group, or it has none.)
create function queue.finish_groups(group_ids bigint[]) returns setof bigint language plpgsql as $$
begin
    perform from queue.groups where id = any(group_ids) and finished_at is null order by id for no key update;
    return query
        with finished as (
            update queue.groups g set finished_at = now(), follow_up_id = nextval('queue.live_jobs_id_seq')
            where g.id = any(group_ids) and g.finished_at is null
              and g.id is distinct from
                  (select j.group_id from queue.live_jobs j where j.group_id >= g.id order by j.group_id limit 1)
            returning g.*
        )
        insert into queue.live_jobs (id, queue, kind, state, args, max_attempts, on_discard, traceparent)
        select follow_up_id, f.kind, f.kind, 'available', f.args, f.max_attempts, f.on_discard, f.traceparent
        from finished f
        returning id;
end $$;
