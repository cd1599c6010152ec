-- What a retry of a job has to know of its page: which batches are counted as failed because their job was given up, and
-- which job fetches a page that was opened again. And no count of what is open may become negative any more.

alter table pages
    add column batches_given_up bigint[] not null default '{}',
    add column fetch_job_id bigint,
    -- Not valid until the rows below are mended.
    add constraint pages_batches_open_not_negative check (batches_open >= 0) not valid;
comment on column pages.batches_given_up is
    'the batches that were given up, by their first raw document: counted as failed until a retry of their job parses them';
comment on column pages.fetch_job_id is
    'the job that fetches the page since it was opened again; null: the first one';

alter table collections add constraint collections_pages_open_not_negative check (pages_open >= 0) not valid;

-- Until now a retried job counted its batch a second time.
update pages set batches_open = 0 where batches_open < 0;
alter table pages validate constraint pages_batches_open_not_negative;

update collections c
set pages_open = case when c.finished_at is not null then 0 else (
    select count(*) from pages p where p.collection_id = c.id and p.state in ('pending', 'fetched')) end
where c.pages_open < 0;
alter table collections validate constraint collections_pages_open_not_negative;

-- The batches that were given up before, as far as their jobs are still known and can be retried.
update pages p set batches_given_up = g.batches
from (
    select (j.args ->> 'collection_id')::uuid as collection_id, (j.args ->> 'page')::integer as page,
           array_agg(distinct f.raw_document_id) as batches
    from queue.job_history j join parse_failures f on f.raw_document_id = (j.args -> 'document_ids' ->> 0)::bigint
    where j.kind = 'parse_documents' and j.state in ('cancelled', 'discarded')
    group by 1, 2
) g
where p.collection_id = g.collection_id and p.number = g.page;
