-- The jobs of a collection are a group (queue.groups): whatever becomes of them, the collection ends with the last one.
-- `run` tells the end of an earlier run from that of the present one, after a resume. Collections that are open now have no
-- group and end by their count of open pages, as before.

alter table collections
    add column group_id bigint,
    add column run integer not null default 1;
comment on column collections.group_id is 'the group of the jobs of the present run';
comment on column collections.run is 'counts the first run and each resume';
