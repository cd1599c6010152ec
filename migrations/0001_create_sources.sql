-- The systems that people are collected from, and the tokens that they gave us. core/src/source/ is the only
-- code that names these tables.

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

-- Processes share the tokens that logins and token endpoints give: in some systems each login ends the
-- session before, so that processes that log in by themselves would end each other's. A token is sealed under
-- a key that is derived from the secrets that it was given for, which are in no database: a dump holds none.
create table source_tokens (
    source_id integer not null references sources (id) on delete cascade,
    proof integer not null,
    sealed bytea not null,
    fetched_at timestamptz not null default clock_timestamp(),
    good_until timestamptz not null,
    constraint source_tokens_pkey primary key (source_id, proof)
);
comment on table source_tokens is 'the newest token of each proof; deleted when the source is removed';
comment on column source_tokens.proof is 'the place in auth of the definition, from 0';
comment on column source_tokens.sealed is
    'a nonce and what ChaCha20-Poly1305 makes of the token, bound to the source and the proof';
