-- One worker leads: it does the upkeep of the queue for all. docs/job-lifecycle.md says how it is chosen;
-- queue/src/leader.rs and queue/src/maintenance/ are the only code that names these tables.

-- One row, so that whoever takes over does so by one guarded update.
create table queue.leader (
    the_one boolean primary key default true constraint leader_is_one check (the_one),
    worker_id bigint,
    term bigint not null default 0,
    elected_at timestamptz,
    lease_until timestamptz,
    constraint leader_has_lease check ((worker_id is null) = (lease_until is null))
) with (fillfactor = 10); -- renewed every other second: room for HOT updates
insert into queue.leader default values;

comment on column queue.leader.worker_id is 'null: the last leader resigned and nobody has followed yet';
comment on column queue.leader.term is 'counts the elections; a renewal must carry the term that it won';

-- The last run of each maintenance service, and what all its runs cost.
create table queue.maintenance (
    service text primary key,
    worker_id bigint not null,
    runs bigint not null,
    failures bigint not null,
    last_started_at timestamptz not null,
    last_duration_ms double precision not null,
    last_affected bigint not null,
    last_error text,
    total_duration_ms double precision not null,
    total_affected bigint not null
) with (fillfactor = 50);

comment on column queue.maintenance.worker_id is 'the leader that ran it last';
comment on column queue.maintenance.last_error is 'why the last run failed; null when it went well';

-- What each queue holds, as counted by the leader every ten seconds, so that nobody has to count live_jobs.
create table queue.depths (
    queue text not null,
    state queue.job_state not null,
    jobs bigint not null,
    exact boolean not null,
    next_run_at timestamptz,
    measured_at timestamptz not null default now(),
    primary key (queue, state)
) with (fillfactor = 50);

comment on column queue.depths.exact is 'false: there are more jobs; counting stopped at this number';
comment on column queue.depths.next_run_at is
    'when the job that this state holds for the next claim was or will be due; null when it holds none';

-- Jobs that wait for their time are counted by their state from the index alone.
drop index queue.live_jobs_due;
create index live_jobs_due on queue.live_jobs (queue, run_at) include (state) where state in ('scheduled', 'retryable');

-- Retention asks what is old. Both find little, mostly nothing.
create index job_history_ended_default_finished_at on queue.job_history_ended_default (finished_at);
create index job_history_discarded_default_finished_at on queue.job_history_discarded_default (finished_at);
create index workers_stopped on queue.workers (stopped_at) where stopped_at is not null;
