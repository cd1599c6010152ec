-- $1 documents. Deletes those that nothing leads to.
delete from raw_documents d
where d.id = any($1)
  and not exists (select from people p where p.document_id = d.id and p.id = d.person_id)
  and not exists (select from resumes r where r.document_id = d.id and r.person_id = d.person_id)
  and not exists (select from person_contents c where c.document_id = d.id and c.person_id = d.person_id)
  and not exists (select from batches b
                  where b.first_id between d.id - 999 and d.id and b.last_id >= d.id offset 0)
  and not exists (select from calls c where c.id = d.call_id)
  and not exists (select from raw_documents o where o.overtaken_by = d.id)
returning d.id, d.supersedes
