-- $1 collection, $2 state, $3 code, $4 after, $5 limit. Each source of documents gives at most $5 behind $4,
-- by an index.
with found as (
    (select document_id as id from parse_failures
     where collection_id = $1 and document_id > $4 and ($2::text is null or $2 = 'failed') and ($3::text is null or code = $3)
     order by document_id limit $5)
    union
    (select d.id from batches b cross join lateral (
         select r.id from raw_documents r where r.id between greatest(b.first_id, $4::bigint + 1) and b.last_id
         order by r.id limit $5
     ) d
     where b.collection_id = $1 and b.last_id > $4 and ($2::text is null or $2 in ('waiting', 'given_up'))
       and ($2::text is null or $2 = case when b.code is null then 'waiting' else 'given_up' end)
       and ($3::text is null or b.code = $3)
     order by d.id limit $5)
    union
    (select d.id from calls c cross join lateral (
         select r.id from raw_documents r
         where r.id between greatest(c.first_document_id, $4::bigint + 1) and c.last_document_id and r.call_id = c.id
         order by r.id limit $5
     ) d
     where c.collection_id = $1 and c.last_document_id > $4 and $3::text is null and ($2::text is null or $2 = 'parsed')
       and ($2::text is null or (
           not exists (select from parse_failures f where f.document_id = d.id offset 0)
           and not exists (
               select from (select last_id from batches b where b.collection_id = $1 and b.first_id <= d.id
                            order by b.first_id desc limit 1) w where w.last_id >= d.id)))
     order by d.id limit $5)
)
select d.id as "id!", s.name as "source!", p.external_id as "external_id?", d.person_id as "resume_id!", $1::uuid as "collection_id?",
       c.place as "page?",
       d.position as "position!", d.collected_at as "collected_at!", d.updated_at as "updated_at?",
       case when b.last_id >= d.id and b.code is null then 'waiting'
            when b.last_id >= d.id then 'given_up'
            when f.document_id is not null then 'failed'
            else 'parsed' end as "state!: DocumentState",
       d.id = p.document_id as "is_latest!",
       coalesce(f.code, case when b.last_id >= d.id then b.code end) as code, f.pointer as "pointer?",
       coalesce(f.detail, case when b.last_id >= d.id then b.error end) as detail
from found
join raw_documents d using (id)
join people p on p.id = d.person_id
join sources s on s.id = p.source_id
left join calls c on c.id = d.call_id
left join parse_failures f on f.document_id = d.id and f.collection_id = $1
left join lateral (
    select w.last_id, w.code, w.error from batches w
    where w.collection_id = $1 and w.first_id <= d.id order by w.first_id desc limit 1
) b on true
order by d.id limit $5
