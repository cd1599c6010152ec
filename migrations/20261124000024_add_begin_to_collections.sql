-- A source may want one collection after the other: one that was started has not begun while it waits for another one.

alter table collections add column begun_at timestamptz;
update collections set begun_at = created_at;
-- A process of an earlier version knows no waiting: what it starts has begun.
alter table collections alter column begun_at set default now();
comment on column collections.begun_at is
    'when its first pages were opened; null: it waits for another collection of its source, or was stopped while it did';
