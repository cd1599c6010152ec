-- $9 source, $1 collection, $2 parser, $3 map; for each resume: person, document, whether it is overtaken,
-- skills as the text of an array, the parsed form.
with stored as (
    insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
    select r.person_id, r.document_id, $2, $3, r.skills::text[], r.document::json
    from unnest($4::bigint[], $5::bigint[], $6::boolean[], $7::text[], $8::text[])
        as r (person_id, document_id, is_overtaken, skills, document)
    where not r.is_overtaken or not exists (select from resumes e where e.person_id = r.person_id offset 0)
    order by r.person_id
    on conflict (person_id) do update
    set document_id = excluded.document_id, parser_version = excluded.parser_version, map_version = excluded.map_version,
        skills = excluded.skills, document = excluded.document, updated_at = now(),
        hidden_at = case when resumes.document_id = excluded.document_id then resumes.hidden_at end
    where (resumes.document_id, resumes.parser_version, resumes.map_version)
        < (excluded.document_id, excluded.parser_version, excluded.map_version)
       -- What is there was made of an older document that was stored later, and parsed first.
       or resumes.document_id > excluded.document_id
          and exists (select from people p
                      where p.id = excluded.person_id and p.document_id = excluded.document_id offset 0)
)
select s.map_version, coalesce(c.first_document_id, 0) as "first_document_id!", coalesce(c.run, 1) as "run!",
       c.finished_at is not null as "is_over!", '{}'::bigint[] as "stored!"
from sources s left join collections c on c.id = $1 where s.id = $9
