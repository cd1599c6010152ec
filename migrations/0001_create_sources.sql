-- The systems that people are collected from. core/src/source/ is the only code that names this table.

create table sources (
    id integer generated always as identity constraint sources_id_unique unique,
    name text primary key,
    definition jsonb not null,
    map_version integer not null default 0,
    map_changed_by xid8 not null default pg_current_xact_id(),
    synced_until timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    removed_at timestamptz
);
comment on column sources.id is 'what rows that are many refer to: four bytes instead of a name';
comment on column sources.definition is 'how to collect from it; holds references to secrets, never a secret';
comment on column sources.map_version is 'counts up when the format or the map changes';
comment on column sources.map_changed_by is
    'the transaction of the last change: a reparse waits until all that began before it have ended';
comment on column sources.synced_until is
    'the beginning of the latest run that brought everything up to then; null before the first';
comment on column sources.removed_at is 'when it was removed; its collections and documents stay';
