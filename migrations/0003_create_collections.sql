-- Collections and the calls that they make. core/src/collection/, core/src/call/ and core/src/completeness/
-- are the only code that names these tables.

create type collection_state as enum (
    'pending', 'running', 'waiting_for_source', 'paused',
    'completed', 'completed_with_errors', 'failed', 'cancelled'
);

create table collections (
    id uuid primary key,
    source text not null references sources,
    state collection_state not null default 'pending',
    count bigint constraint collections_count_positive check (count > 0),
    per_page integer not null,
    batch_size integer not null,
    idempotency_key text constraint collections_idempotency_key_unique unique,
    request jsonb not null,
    since timestamptz,
    pages_expected integer,
    is_cut boolean not null default false,
    run integer not null default 1,
    reread_in_run integer,
    group_id bigint,
    stop_job_id bigint,
    first_document_id bigint,
    first_call_id bigint,
    hide_confirmed boolean not null default false,
    lagged_at timestamptz,
    created_at timestamptz not null default now(),
    begun_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    summary jsonb,
    calls_deleted_at timestamptz,
    constraint collections_finished_when_over check (
        (state in ('completed', 'completed_with_errors', 'failed', 'cancelled')) = (finished_at is not null))
);
create index collections_source on collections (source, id desc);
create index collections_under_way on collections (source, id) where finished_at is null;
create index collections_with_calls on collections (finished_at)
    where finished_at is not null and calls_deleted_at is null;
comment on column collections.count is 'how many items were asked for; null: everything';
comment on column collections.request is 'the parameters as asked for, to tell a repeated request from a different one';
comment on column collections.since is 'changes since then were asked for; null: everything';
comment on column collections.pages_expected is 'how many pages its first list has, where that is known';
comment on column collections.is_cut is 'it ended because it had as many items as were asked for; there may be more';
comment on column collections.run is 'counts up when it is continued; its jobs are a group for each run';
comment on column collections.reread_in_run is 'the run in which doubtful pages were read again, or need not be';
comment on column collections.stop_job_id is 'jobs with a lower id are void: they were enqueued before it was paused or cancelled';
comment on column collections.first_document_id is 'documents that were stored since it began have higher ids';
comment on column collections.first_call_id is 'its calls have higher ids';
comment on column collections.hide_confirmed is 'a person has confirmed that it may hide many';
comment on column collections.summary is
    'what its calls and doubts came to: they are deleted some time after its end; null: they are there';
comment on column collections.lagged_at is 'when a page was kept back last because parsing lagged behind';

-- What has become of the calls and documents of a collection: a row for each connection, which a transaction
-- adds to together with the change that it counts. A connection is in one transaction at a time, so nobody
-- ever waits for such a row. The end of the collection makes them one.
create table collection_counts (
    collection_id uuid not null,
    backend integer not null,
    opened bigint not null default 0,
    opened_behind bigint not null default 0,
    done bigint not null default 0,
    failed_calls bigint not null default 0,
    made bigint not null default 0,
    rate_limited bigint not null default 0,
    listed bigint not null default 0,
    stored bigint not null default 0,
    unchanged bigint not null default 0,
    retried bigint not null default 0,
    parsed bigint not null default 0,
    failed bigint not null default 0,
    given_up bigint not null default 0,
    erased bigint not null default 0,
    first_at timestamptz not null default clock_timestamp(),
    last_at timestamptz not null default clock_timestamp(),
    mark_at timestamptz not null default clock_timestamp(),
    mark_done bigint not null default 0,
    mark_settled bigint not null default 0,
    earlier_at timestamptz not null default clock_timestamp(),
    earlier_done bigint not null default 0,
    earlier_settled bigint not null default 0,
    primary key (collection_id, backend)
) with (fillfactor = 20); -- HOT updates all the way
comment on column collection_counts.backend is 'the process id of the connection; 0: what the end has added up';
comment on column collection_counts.opened_behind is 'those of the opened calls that are not pages of the first list';
comment on column collection_counts.listed is 'items that lists have shown';
comment on column collection_counts.retried is 'documents of earlier runs that had failed and are parsed again by this one';
comment on column collection_counts.mark_at is
    'what was done by then, renewed every five seconds; with the mark before, at earlier_at, it tells how fast things go';

create type call_step as enum ('parents', 'list', 'detail', 'attachment', 'deleted', 'known');
create type call_state as enum ('pending', 'done', 'failed');

-- Every request that a collection makes or is about to make: its checkpoint.
create table calls (
    id bigint generated by default as identity primary key,
    collection_id uuid not null,
    step call_step not null,
    state call_state not null default 'pending',
    place integer not null default 1,
    reading integer not null default 1,
    parent text not null default '',
    item text not null default '',
    link text,
    made integer not null default 0,
    rate_limited integer not null default 0,
    items integer,
    total bigint,
    fingerprint bigint,
    item_keys bigint[],
    people bigint[],
    first_document_id bigint,
    last_document_id bigint,
    document_id bigint,
    name text,
    origin bigint,
    is_refreshed boolean not null default false,
    begun_in_run integer,
    error_code text,
    error text,
    done_at timestamptz
) with (fillfactor = 70); -- room for a HOT update of each
-- A call is made once in a collection, however often it follows from something.
create unique index calls_about on calls (collection_id, step, parent, item, place, reading);
-- A link is followed once. The lists of two parents may have the same cursors.
create unique index calls_link on calls (collection_id, step, reading, md5(parent), md5(link))
    where link is not null and step in ('parents', 'list', 'deleted');
-- Who is erased is looked for by their id, in all collections.
create index calls_about_item on calls (item) where item <> '';
create index calls_with_error on calls (collection_id, error_code, id) where error_code is not null;
comment on column calls.place is 'its place in its own list, from 1; of an attachment: its place among those of the item';
comment on column calls.reading is 'from 2 on: a doubtful page is read again, or a list whose cursor had expired';
comment on column calls.parent is 'the parent that the call is about, in the source''s words; empty: none';
comment on column calls.item is 'the id of the item that the call is about; empty: none';
comment on column calls.link is 'the address or cursor that the answer before gave; null: the call is made from its place';
comment on column calls.items is 'how many items the answer had';
comment on column calls.total is 'how many items the answer said there are';
comment on column calls.fingerprint is 'of the ids of its items, in order: a page with that of another one brings nothing new';
comment on column calls.item_keys is 'the first eight bytes of the SHA-256 of each item''s id, where completeness is judged';
comment on column calls.people is 'of the feed of those who were deleted: whom it named that we know';
comment on column calls.first_document_id is 'the documents that it brought are those with its call_id from here to last_document_id';
comment on column calls.document_id is 'of an attachment: the document that it belongs to';
comment on column calls.origin is 'of an attachment: the call whose answer had its address, and has a fresh one when that has expired';
comment on column calls.is_refreshed is 'of an attachment: whether its address had expired before; once is enough';
comment on column calls.begun_in_run is 'the run in which its list was read again from its beginning, with this page';
comment on column calls.error is 'what went wrong last, for people';

-- What speaks against it that a collection that is over has everything, or keeps it from hiding people.
create table doubts (
    collection_id uuid not null,
    code text not null,
    count bigint not null,
    sample text not null,
    primary key (collection_id, code)
);
