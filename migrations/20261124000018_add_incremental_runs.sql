-- A run may ask for what has changed since the last complete one only.

alter table sources add column synced_until timestamptz;
comment on column sources.synced_until is
    'the beginning of the latest run that brought everything up to then; null before the first';

alter table collections
    add column since timestamptz,
    add column is_cut boolean not null default false;
comment on column collections.since is 'changes since then were asked for; null: everything';
comment on column collections.is_cut is 'it ended because it had as many items as were asked for; there may be more';
