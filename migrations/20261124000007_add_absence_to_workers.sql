-- Since when a worker is without its presence lock and without a heartbeat, and when that was last seen. Written by the
-- leader while somebody is absent, so that the next leader goes on from there.
alter table queue.workers
    add column absent_since timestamptz,
    add column absent_seen_at timestamptz,
    add constraint absent_when_seen check ((absent_since is null) = (absent_seen_at is null));

-- The workers whose process lives, as far as its connection tells: each holds an advisory lock, whose key is 'resu' in
-- ASCII and the worker's id.
create view queue.presences as
select l.objid::bigint as worker_id, l.pid
from pg_locks l
where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid::bigint = x'72657375'::bigint
  and l.database = (select oid from pg_database where datname = current_database());
