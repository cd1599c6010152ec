-- Resumes, and documents that did not become any. core/src/resume/ names resumes,
-- core/src/document/ the failures.

create table resumes (
    person_id bigint primary key,
    document_id bigint not null,
    parser_version integer not null,
    map_version integer not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    hidden_at timestamptz,
    skills text[] not null,
    document json not null
);
-- Entries that wait to be merged are read by every search: with 512 kB of them it takes a millisecond more,
-- with the default of 4 MB five. Storing resumes takes the same time.
create index resumes_skills on resumes using gin (skills) with (gin_pending_list_limit = 512);
comment on column resumes.person_id is 'the number of the resume, which stays when the person is collected again';
comment on column resumes.skills is 'canonical keys, for searching; the names as given are in document';
comment on column resumes.document is
    'the parsed form, without what merely repeats the raw document or another column';
comment on column resumes.hidden_at is 'when its source stopped listing the person, or told that they were deleted';

create table parse_failures (
    document_id bigint not null,
    collection_id uuid not null,
    parser_version integer not null,
    map_version integer not null,
    failed_at timestamptz not null default now(),
    code text not null,
    pointer text not null,
    detail text not null,
    primary key (document_id, collection_id)
);
create index parse_failures_collection on parse_failures (collection_id, code, document_id);
comment on column parse_failures.collection_id is 'the run that lists it; a later run that finds the same document lists it again';

-- For people who query SQL: documents with the names and states that the API uses.
create view documents as
select d.id, s.name as source, p.external_id, c.collection_id, c.place as page, d.position, d.collected_at, d.updated_at,
       case when b.waits then 'waiting'
            when not b.waits then 'given_up'
            when exists (select from parse_failures f where f.document_id = d.id) then 'failed'
            else 'parsed' end as state,
       d.id = p.document_id as is_latest, d.person_id as resume_id, d.body
from raw_documents d
join people p on p.id = d.person_id
join sources s on s.id = p.source_id
left join calls c on c.id = d.call_id
cross join lateral (
    select bool_or(w.code is null) as waits from batches w
    where w.first_id between d.id - 999 and d.id and w.last_id >= d.id
) b;

-- For people who query SQL: resumes with their source and the id that the source gave the person.
create view resume_list as
select r.person_id as id, s.name as source, p.external_id, r.document ->> 'name' as name, r.skills, r.document_id,
       r.document, r.created_at, r.updated_at, r.hidden_at
from resumes r join people p on p.id = r.person_id join sources s on s.id = p.source_id;
