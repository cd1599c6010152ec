-- What each page of a list showed is kept, so that a run can tell at its end whether everything was seen: pages between
-- which the list moved are read again, and what stays doubtful is told. Rows are inserted once and never updated: `pages` is
-- updated once a batch and stays small.

create table page_items (
    collection_id uuid not null references collections on delete cascade,
    page integer not null,
    round integer not null,
    seen_at timestamptz not null default clock_timestamp(),
    total bigint,
    keys bigint[] not null,
    first_id text,
    last_id text,
    primary key (collection_id, page, round)
);
comment on table page_items is 'what each reading of a page of a list showed';
comment on column page_items.round is 'how often the doubtful pages of the collection had been opened again before';
comment on column page_items.seen_at is 'about when the answer came; the order of the readings';
comment on column page_items.total is 'how many items the answer said there are in all';
comment on column page_items.keys is
    'of each item the first eight bytes of the SHA-256 of its external id, or of its content where it has none; in the order of the page';
comment on column page_items.first_id is 'the external id of the first item, to name a place in the list';

create table doubts (
    collection_id uuid not null references collections on delete cascade,
    code text not null,
    count bigint not null,
    sample text not null,
    primary key (collection_id, code)
);
comment on table doubts is 'what speaks against that a collection has everything, found at the end of its latest run';

alter table collections
    add column rereads integer not null default 0,
    add column reread_in_run integer;
comment on column collections.rereads is 'how often its doubtful pages were opened again';
comment on column collections.reread_in_run is 'the run in which they were opened last';

-- Short pages were looked for whenever somebody asked. Those of collections that are over are noted as they were told.
insert into doubts (collection_id, code, count, sample)
select c.id, 'page_short', count(*),
       'page ' || min(p.number) || ': fewer items than asked for, and pages behind it have some: items may be missing'
from collections c
join sources s on s.name = c.source
join pages p on p.collection_id = c.id
where c.finished_at is not null and c.state = 'completed_with_errors'
  and s.definition -> 'list' -> 'paging' ? 'numbered'
  and not exists (
      select from jsonb_each_text(coalesce(s.definition -> 'list' -> 'params', '{}')) as param
      where param.value like '%{count}%')
  and p.state = 'done' and p.error_code is null and p.stored + p.unchanged < c.per_page
  and p.number < (select max(number) from pages l where l.collection_id = c.id and l.stored + l.unchanged > 0)
group by c.id;

-- Documents of a collection can be parsed again without a call, page by page: which of a page's parsing jobs count.
alter table pages add column pass integer not null default 0;
comment on column pages.pass is 'how often documents of the page were given to new jobs; jobs of an earlier pass count no more';

-- Documents come in the order of their collections, so a hundred bytes for each megabyte tell where those of one are.
create index raw_documents_collection on raw_documents using brin (collection_id);

-- Resumes of people whom their source lists no more can be hidden from searches.
alter table resumes add column gone_at timestamptz;
comment on column resumes.gone_at is 'when it was noticed that its source lists it no more; not found by searches then';
