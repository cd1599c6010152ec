-- Sources whose items take more than one call: lists of parents, of which each has a list of its own, and a detail call for
-- each item. Each call is a row of `pages`, as before.

create type page_step as enum ('parents', 'list', 'detail');

alter table pages
    add column step page_step not null default 'list',
    add column parent text,
    add column item text,
    add column place integer,
    add column items integer,
    add column begun_in_run integer;
comment on column pages.number is
    'from 1 in the order of the first list; from 10,000,001 on, in no order, for the calls that follow from an answer';
comment on column pages.parent is 'the parent that the call is about, in the source''s words';
comment on column pages.item is 'the external id of the item that the call is about';
comment on column pages.place is 'its place in its own list, from 1; null: its number';
comment on column pages.items is 'how many items the answer had; null where all of them were stored or unchanged';
comment on column pages.begun_in_run is 'the run in which its list was read again from its beginning, with this page';

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
) where link is not null;
drop index pages_link;

alter table collections
    add column items_listed integer not null default 0,
    drop column restarted_in_run;
comment on column collections.items_listed is
    'how many items the lists have brought, of a source whose items take more than one call';
