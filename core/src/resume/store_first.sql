-- $1 collection, $2 parser, $3 map, $8 source; for each resume: person, document, skills as the text of an
-- array, the parsed form. The first resumes of people: without the check for a conflict, which is a good part
-- of the cost. Leaves out people who have one.
with stored as (
    insert into resumes (person_id, document_id, parser_version, map_version, skills, document)
    select r.person_id, r.document_id, $2, $3, r.skills::text[], r.document::json
    from unnest($4::bigint[], $5::bigint[], $6::text[], $7::text[])
        as r (person_id, document_id, skills, document)
    where not exists (select from resumes e where e.person_id = r.person_id offset 0)
    order by r.person_id
    returning person_id
)
select s.map_version, coalesce(c.first_document_id, 0) as "first_document_id!", coalesce(c.run, 1) as "run!",
       c.finished_at is not null as "is_over!", array(select person_id from stored) as "stored!"
from sources s left join collections c on c.id = $1 where s.id = $8
