-- A collection can be cancelled and paused: which jobs were enqueued before that, and so fetch no page any more.

alter table collections add column stop_job_id bigint;
comment on column collections.stop_job_id is
    'the job that ended the jobs of the last pause or cancellation: fetching jobs below it are void, their pages belong to later ones';
