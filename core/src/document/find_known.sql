-- $1 source; for each item: external id, hash; $4 collection. Gives a row for each item whose person is
-- known. Hashes only: the bodies of items that have not changed never travel. `offset 0` keeps the planner
-- from reading a whole table at once.
select i.place as "place!", p.id as "person_id!", d.id as "document_id!", p.content_hash as "content_hash!",
       p.content_hash = i.content_hash or c.document_id is not null as "is_same!",
       exists (select from person_contents where person_id = p.id offset 0) as "has_contents!",
       (exists (select from parse_failures f where f.document_id = d.id offset 0) -- not hashed as a whole
        or exists (
            select from batches b
            where b.first_id between d.id - 999 and d.id and b.last_id >= d.id and b.code is not null
            offset 0))
       -- And not in this run, which has it among its own.
       and not exists (select from parse_failures f where f.document_id = d.id and f.collection_id = $4 offset 0)
       and not exists (
           select from (
               select b.last_id from batches b where b.collection_id = $4 and b.first_id <= d.id
               order by b.first_id desc limit 1
           ) w where w.last_id >= d.id) as "has_failed!"
from unnest($2::text[], $3::uuid[]) with ordinality as i (external_id, content_hash, place)
cross join lateral (
    select k.id, k.document_id, k.content_hash from people k
    where k.source_id = $1 and k.external_id = i.external_id
    union all
    select k.id, k.document_id, k.content_hash from people k
    where i.external_id is null and k.source_id = $1 and k.external_id is null and k.content_hash = i.content_hash
    offset 0 -- one descent of the index for each item, whatever the planner guesses
) p
left join person_contents c on c.person_id = p.id and c.content_hash = i.content_hash and p.content_hash <> i.content_hash
cross join lateral (select coalesce(c.document_id, p.document_id) as id) d
