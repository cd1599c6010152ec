-- Sources whose items take more than one call: lists of parents, of which each has a list of its own, a detail call for
-- each item, and the files that belong to an item. Each call is a row of `pages`, as before.

create type page_step as enum ('parents', 'list', 'detail', 'attachment');

alter table pages
    add column step page_step not null default 'list',
    add column parent text,
    add column item text,
    add column place integer,
    add column items integer,
    add column begun_in_run integer,
    add column name text,
    add column raw_document_id bigint,
    add column origin integer,
    add column is_refreshed boolean not null default false;
comment on column pages.number is
    'from 1 in the order of the first list; from 10,000,001 on, in no order, for the calls that follow from an answer';
comment on column pages.parent is 'the parent that the call is about, in the source''s words';
comment on column pages.item is 'the external id of the item that the call is about';
comment on column pages.place is 'its place in its own list, from 1; null: its number';
comment on column pages.items is 'how many items the answer had; null where all of them were stored or unchanged';
comment on column pages.begun_in_run is 'the run in which its list was read again from its beginning, with this page';
comment on column pages.name is 'of an attachment: its name';
comment on column pages.raw_document_id is 'of an attachment: the item that it belongs to';
comment on column pages.origin is 'of an attachment: the page whose answer had its address, and has a fresh one when that has expired';
comment on column pages.is_refreshed is 'of an attachment: whether its address had expired before; once is enough';

-- One for all collections, so that nobody waits for a number. Long before it begins anew those collections are over.
create sequence page_numbers as integer minvalue 10000001 cycle;
alter sequence page_numbers owned by pages.number;

-- A call is made once in a collection, however often it follows from something.
create unique index pages_about on pages (
    collection_id, step, md5(coalesce(parent, '')), md5(coalesce(item, '')), place
) where place is not null;
-- The lists of two parents may have the same tokens.
create unique index pages_link_of_list on pages (
    collection_id, step, md5(coalesce(parent, '')), md5(link)
) where link is not null and step in ('parents', 'list');
drop index pages_link;

alter table collections
    add column items_listed integer not null default 0,
    drop column restarted_in_run;
comment on column collections.items_listed is
    'how many items the lists have brought, of a source whose items take more than one call';

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
    raw_document_id bigint not null references raw_documents on delete cascade,
    place integer not null,
    name text not null,
    sha256 bytea not null references attachments,
    fetched_at timestamptz not null default now(),
    primary key (raw_document_id, place)
);
create index document_attachments_of_file on document_attachments (sha256);
comment on column document_attachments.place is 'its place among the attachments of the document, from 1';
