-- What a retry of a job has to know of its page: which batches are counted as failed because their job was given up, and
-- which job fetches a page that was opened again. The lock of `pages` is short: what is read and mended for it is in a
-- migration, and so a transaction, of its own.

alter table pages
    add column batches_given_up bigint[] not null default '{}',
    add column fetch_job_id bigint;
comment on column pages.batches_given_up is
    'the batches that were given up, by their first raw document: counted as failed until a retry of their job parses them';
comment on column pages.fetch_job_id is
    'the job that fetches the page since it was opened again; null: the first one';
