-- Until now a retried parsing job counted its batch a second time, so what is open of a collection may be counted too low.
-- Such a collection would end before its last pages.
--
-- Workers may run meanwhile. Only rows are locked, in the order of the jobs, pages before collections; what is counted is read
-- by statements that begin when the rows are held, so that no count that was under way is missed. No payload is
-- trusted: those that do not decode are among the discarded ones. (A case, since a filter may come after a cast.)

select count(*) from (
    select from pages where state = 'fetched' or batches_open < 0
    order by collection_id, number for no key update
) held;

-- The batches whose jobs live or can be retried. Open, if it was not given up: those that live, and those of which the
-- follow-up is yet to be run. Each state is read by its own partitions or index: completed jobs may be millions.
create temporary table batches as
select case when args ->> 'collection_id' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
            then (args ->> 'collection_id')::uuid end as collection_id,
       case when args ->> 'page' ~ '^[0-9]{1,9}$' then (args ->> 'page')::integer end as page,
       case when args -> 'document_ids' ->> 0 ~ '^[0-9]{1,18}$' then (args -> 'document_ids' ->> 0)::bigint end as id,
       is_live or job_id in (select args ->> 'job_id' from queue.live_jobs where kind = 'settle_discarded') as is_open
from (
    select id::text as job_id, args, true as is_live from queue.live_jobs where kind = 'parse_documents'
    union all
    select id::text, args, false from queue.job_history_ended where state = 'cancelled' and kind = 'parse_documents'
    union all
    select id::text, args, false from queue.job_history_discarded where kind = 'parse_documents'
) jobs;
analyze batches;

-- A live job whose documents were listed as failed when it was given up has been retried.
update pages p set batches_given_up = given_up.ids
from (
    select b.collection_id, b.page, array_agg(distinct b.id) as ids
    from batches b join parse_failures f on f.raw_document_id = b.id
    where f.code in ('parser_crashed', 'cancelled_by_request', 'discarded_by_request')
    group by b.collection_id, b.page
) given_up
where p.collection_id = given_up.collection_id and p.number = given_up.page;

-- Only upwards: what is too high was lost with its job, which the end of the run tells.
update pages p set batches_open = counted.open
from (
    select p.collection_id, p.number, count(distinct b.id) as open
    from batches b join pages p on p.collection_id = b.collection_id and p.number = b.page
    where p.state = 'fetched' and b.is_open and b.id <> all(p.batches_given_up)
    group by p.collection_id, p.number
) counted
where p.collection_id = counted.collection_id and p.number = counted.number and p.batches_open < counted.open;
update pages set batches_open = 0 where batches_open < 0;

create temporary table held as
select c.id from collections c
left join (
    select collection_id, count(*) as open from pages where state in ('pending', 'fetched') group by collection_id
) counted on counted.collection_id = c.id
where c.finished_at is null or c.pages_open <> coalesce(counted.open, 0)
order by c.id for no key update of c;

update collections c set pages_open = counted.open
from (
    select held.id, count(p.number) as open
    from held left join pages p on p.collection_id = held.id and p.state in ('pending', 'fetched')
    group by held.id
) counted
where c.id = counted.id and c.pages_open <> counted.open;

-- The connection outlives the migration.
drop table batches, held;
