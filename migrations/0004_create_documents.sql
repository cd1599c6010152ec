-- People, and the documents that sources gave of them. core/src/document/, core/src/attachment/
-- and core/src/erasure/ are the only code that names these tables.
--
-- Ids come in blocks: one call of nextval gives a store the numbers n to n + 999, so the documents of a batch
-- are a range, and a batch is one row and one argument of a job, whatever its size. A person has the number
-- of their first document. There are no foreign keys on the way in: each costs up to 5 us, a row lock and 54
-- B of WAL per document, and one transaction writes both ends.

create sequence document_ids increment 1000;

-- Who is known, and with which content. The only table with a key in the order of the source's ids, which may
-- be no order at all: every further index of that kind costs up to a full page image per document once the
-- table is large.
create table people (
    id bigint primary key,
    document_id bigint not null,
    content_hash uuid not null,
    source_id integer not null,
    external_id text,
    constraint people_unique unique (source_id, external_id)
) with (fillfactor = 95); -- a new version is a HOT update: no index holds what changes
create unique index people_without_id on people (source_id, content_hash) where external_id is null;
comment on column people.document_id is 'the latest document';
comment on column people.content_hash is 'of the latest document: the first 16 bytes of its SHA-256';
comment on column people.external_id is 'null where it cannot be read: then each content is a person of its own';

-- The contents of a person whom one run listed more than once, with different bytes: all of them are current.
create table person_contents (
    person_id bigint not null,
    content_hash uuid not null,
    document_id bigint not null,
    seen_in uuid not null,
    primary key (person_id, content_hash)
);
comment on column person_contents.seen_in is 'the collection that has listed this content last';

-- Every item as it came. One index, in the order of insertion, and small ones for the few that are special. A
-- reader that wants the documents of a call or a collection goes through calls, which has their ranges.
create table raw_documents (
    id bigint primary key,
    person_id bigint not null,
    call_id bigint not null,
    supersedes bigint,
    overtaken_by bigint,
    collected_at timestamptz not null,
    updated_at timestamptz,
    content_hash uuid not null,
    position integer not null,
    body bytea not null
);
-- Those that took the place of another one, in the order of those: it finds what is superseded.
create index raw_documents_supersedes on raw_documents (supersedes) where supersedes is not null;
-- Few are. With supersedes, which leads to the older ones, it tells all documents of a person.
create index raw_documents_overtaken on raw_documents (overtaken_by) where overtaken_by is not null;
comment on column raw_documents.supersedes is 'what was the latest document of the person before';
comment on column raw_documents.overtaken_by is 'a document that was stored before and is newer: this one changes no resume';
comment on column raw_documents.collected_at is 'when the call for it was made';
comment on column raw_documents.updated_at is 'when the person was changed at the source, where that tells';

-- Ranges of documents that wait to be parsed, or were given up. A document is in exactly one of three places:
-- it waits or was given up if a range holds it; it failed if it is among the parse failures; else it is
-- parsed. Each transition is the insert or delete of a row, in the transaction that does the work.
create table batches (
    collection_id uuid not null,
    first_id bigint not null,
    last_id bigint not null,
    code text,
    error text,
    primary key (collection_id, first_id),
    constraint batches_is_a_range check (last_id between first_id and first_id + 999)
) with (
    -- Rows live for moments: vacuum by count.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0
);
-- Which batches hold a document: those that begin at most 999 before it.
create index batches_by_document on batches (first_id);
create index batches_given_up on batches (first_id) where code is not null;
comment on column batches.code is 'why nobody parses it for now; null: it waits';

-- The same file once, however many documents it belongs to.
create table attachments (
    sha256 bytea primary key constraint attachments_sha256 check (octet_length(sha256) = 32),
    media_type text not null,
    size integer not null,
    bytes bytea not null,
    stored_at timestamptz not null default now()
);
-- PDF and its like are packed already.
alter table attachments alter column bytes set storage external;

create table document_attachments (
    document_id bigint not null,
    place integer not null,
    name text not null,
    sha256 bytea not null references attachments,
    fetched_at timestamptz not null default now(),
    primary key (document_id, place)
);
create index document_attachments_of_file on document_attachments (sha256);
comment on column document_attachments.place is 'its place among the attachments of the document, from 1';

-- Who was erased, so that the next run does not bring them back.
create table erased_people (
    source_id integer not null,
    key_hash bytea not null,
    key_id bytea not null,
    erased_at timestamptz not null default now(),
    primary key (source_id, key_hash)
);
comment on column erased_people.key_hash is
    'HMAC-SHA256 of the external id, or of the content of somebody without one; its key is not in the database';
comment on column erased_people.key_id is 'which key: the first eight bytes of its SHA-256';
