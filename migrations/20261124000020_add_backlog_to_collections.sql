-- How far parsing lags behind fetching, which waits when that is too much; and when documents were settled, which tells how fast
-- a collection comes on.

-- Pages before collections, as jobs lock them.
alter table pages
    add column settled_at timestamptz,
    add column documents_open integer not null default 0;
comment on column pages.settled_at is 'when a batch of it was settled last';
comment on column pages.documents_open is 'how many documents were given to the parsers when it was fetched; counts while it is fetched and not done';
update pages set documents_open = stored where state = 'fetched';

alter table collections
    add column documents_open integer not null default 0
        constraint collections_documents_open_not_negative check (documents_open >= 0),
    add column lagged_at timestamptz;
comment on column collections.documents_open is 'what the pages have stored that are fetched and not done yet';
comment on column collections.lagged_at is 'when a page of it was last not fetched because parsing lagged behind';

create index collections_under_way on collections (source) where finished_at is null;

update collections c set documents_open = counted.documents
from (
    select p.collection_id, sum(p.stored) as documents
    from collections r join pages p on p.collection_id = r.id and p.state = 'fetched'
    where r.finished_at is null
    group by p.collection_id
) counted
where c.id = counted.collection_id;
