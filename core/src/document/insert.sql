-- $1 source, $2 call, $3 when it was made; then, for each document in order: person and superseded document
-- (null: nobody is known), the document that has overtaken it, hash, position, external id, the source's time
-- of change, body.
with block as materialized (
    select nextval('document_ids') as id
), new as materialized (
    select block.id + n.number - 1 as id, n.*
    from block, unnest($4::bigint[], $5::bigint[], $6::bigint[], $7::uuid[], $8::integer[], $9::text[], $10::timestamptz[],
                       $11::bytea[])
        with ordinality as n (person_id, supersedes, overtaken_by, content_hash, position, external_id, updated_at, body, number)
), added as (
    insert into people (id, document_id, content_hash, source_id, external_id)
    select id, id, content_hash, $1, external_id
    from new where person_id is null
    -- So that two transactions with the same people cannot lock each other out.
    order by external_id, content_hash
), changed as (
    update people p set document_id = n.id, content_hash = n.content_hash
    from new n where p.id = n.person_id and n.overtaken_by is null
), stored as (
    insert into raw_documents
        (id, person_id, call_id, supersedes, overtaken_by, collected_at, updated_at, content_hash, position, body)
    select id, coalesce(person_id, id), $2, supersedes, overtaken_by, $3, updated_at, content_hash, position, body from new
)
select id as "id!" from new order by id
