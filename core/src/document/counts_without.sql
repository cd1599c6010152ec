-- $1 documents. What each collection has counted of them. A document is of the collection whose call brought
-- it; where that is no longer kept, of one that began before it was stored.
with gone as (
    select d.id, coalesce(c.collection_id, old.id) as collection_id
    from raw_documents d
    join people p on p.id = d.person_id
    join sources s on s.id = p.source_id
    left join calls c on c.id = d.call_id
    -- Calls of collections that ended long ago are deleted.
    left join lateral (
        select k.id from collections k
        where c.id is null and k.source = s.name and k.summary is not null and k.first_document_id <= d.id
        order by k.id desc limit 1
    ) old on true
    where d.id = any($1)
), held as (
    select g.id, b.collection_id, b.code is not null as is_given_up
    from gone g join batches b on b.first_id between g.id - 999 and g.id and b.last_id >= g.id
), failed as (
    select g.id, f.collection_id from gone g join parse_failures f on f.document_id = g.id
), listed as (
    select id, collection_id, false as has_failed, is_given_up from held
    union all
    select id, collection_id, true, false from failed
), known as (
    select l.*, coalesce(g.collection_id = l.collection_id, c.first_document_id <= l.id) as is_own
    from listed l join gone g using (id) join collections c on c.id = l.collection_id
), change as (
    select collection_id, 1 as stored, 0 as retried,
           (not exists (select from known k where k.id = gone.id and k.is_own))::integer as parsed,
           0 as failed, 0 as given_up
    from gone where collection_id is not null
    union all
    select k.collection_id, (k.is_own and g.collection_id is null)::integer, (not k.is_own)::integer, 0,
           k.has_failed::integer, k.is_given_up::integer
    from known k join gone g using (id)
)
select collection_id as "collection_id!", sum(stored) as "stored!", sum(retried) as "retried!",
       sum(parsed) as "parsed!", sum(failed) as "failed!", sum(given_up) as "given_up!"
from change group by collection_id order by collection_id
