-- $1 source; for each item: external id, hash; $4 collection. Gives a row for each item whose person is
-- known. Hashes only: the bodies of items that have not changed never travel. `offset 0` keeps the planner
-- from reading a whole table at once.
with found as materialized (
    select i.place, i.content_hash as hash, p.id, p.document_id, p.content_hash
    from unnest($2::text[], $3::uuid[]) with ordinality as i (external_id, content_hash, place)
    cross join lateral (
        select k.id, k.document_id, k.content_hash from people k
        where k.source_id = $1 and k.external_id = i.external_id
        union all
        select k.id, k.document_id, k.content_hash from people k
        where i.external_id is null and k.source_id = $1 and k.external_id is null
          and k.content_hash = i.content_hash
        offset 0 -- one descent of the index for each item, whatever the planner guesses
    ) p
), special as materialized (
    -- Whether there is anything special between the first and the last of these people, or of their documents:
    -- if not, none of them is looked up for it.
    select contents, contents or failures as failures, contents or given_up as given_up
    from (select min(id) as person, max(id) as last_person, min(document_id) as document,
                 max(document_id) as last_document from found) r
    cross join lateral (
        select exists (select from person_contents c where c.person_id between r.person and r.last_person
                       offset 0) as contents,
               exists (select from parse_failures f where f.document_id between r.document and r.last_document
                       offset 0) as failures,
               exists (select from batches b where b.first_id between r.document - 999 and r.last_document
                       and b.code is not null offset 0) as given_up
        offset 0 -- evaluated once
    ) s
)
select i.place as "place!", i.id as "person_id!", d.id as "document_id!", i.content_hash as "content_hash!",
       i.content_hash = i.hash or c.document_id is not null as "is_same!",
       s.contents and exists (select from person_contents where person_id = i.id offset 0) as "has_contents!",
       (s.failures
            and exists (select from parse_failures f where f.document_id = d.id offset 0) -- not hashed as a whole
        or s.given_up and exists (
            select from batches b
            where b.first_id between d.id - 999 and d.id and b.last_id >= d.id and b.code is not null
            offset 0))
       -- And not in this run, which has it among its own.
       and not exists (select from parse_failures f
                       where f.document_id = d.id and f.collection_id = $4 offset 0)
       and not exists (
           select from (
               select b.last_id from batches b where b.collection_id = $4 and b.first_id <= d.id
               order by b.first_id desc limit 1
           ) w where w.last_id >= d.id) as "has_failed!"
from found i
cross join special s
left join lateral (
    select c.document_id from person_contents c
    where s.contents and c.person_id = i.id and c.content_hash = i.hash and i.content_hash <> i.hash offset 0
) c on true
cross join lateral (select coalesce(c.document_id, i.document_id) as id) d
