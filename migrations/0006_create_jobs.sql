-- All jobs, live and ended, for people with psql; queue/migrations/ has the rest of the queue.

create view jobs as
select *, args ->> 'collection_id' as collection_id from queue.jobs;
