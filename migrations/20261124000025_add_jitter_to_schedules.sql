-- What many schedules ask for at the same minute need not all begin in the same second.

alter table queue.schedules
    add column jitter_s integer not null default 0
        constraint schedules_jitter_within_an_hour check (jitter_s between 0 and 3600);
comment on column queue.schedules.jitter_s is 'the most seconds that a job is put off after its tick';
