-- Jobs that are enqueued by the clock: again and again, or once. queue/src/schedules/ is the only code that names this table.

-- What to do about ticks that nobody fired in time: while no worker lived, or the schedule was disabled.
create type queue.missed_ticks as enum ('skip', 'once', 'all');

create table queue.schedules (
    name text primary key,
    cron text,
    time_zone text not null,
    at timestamptz,
    kind text not null,
    args jsonb not null,
    priority smallint not null,
    max_attempts integer not null constraint schedules_max_attempts_positive check (max_attempts > 0),
    on_discard text,
    missed queue.missed_ticks not null,
    enabled boolean not null default true,
    next_at timestamptz,
    last_at timestamptz,
    last_job_id bigint,
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint schedules_cron_or_at check ((cron is null) <> (at is null))
);
create index schedules_due on queue.schedules (next_at) where enabled and next_at is not null;

comment on column queue.schedules.time_zone is 'in which the cron expression is read; a name of the IANA database';
comment on column queue.schedules.at is 'of a schedule that fires once, instead of the cron expression';
comment on column queue.schedules.kind is 'the kind of the job, which is its queue as well';
comment on column queue.schedules.next_at is 'the next tick, which may be past; null: there is none any more';
comment on column queue.schedules.last_at is 'the tick that was fired last, or when somebody ran it by hand';
comment on column queue.schedules.last_error is 'why the queue has disabled it';
comment on column queue.schedules.updated_at is 'when somebody last changed it; a firing does not count';
