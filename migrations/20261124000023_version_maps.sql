-- The map of a source has a version, which counts up when it changes. Resumes and failures know which one made them, so that
-- what an older one made can be found and parsed again.

alter table sources add column map_version integer not null default 0;
alter table resumes add column map_version integer not null default 0;
alter table parse_failures add column map_version integer not null default 0;
comment on column sources.map_version is 'counts up when the format or the map in the definition changes';
comment on column resumes.map_version is 'the map of the source that it was made with';

-- Nobody noted which definition made what is there. Where it has changed since the source was added, all of it counts as older.
update sources set map_version = 1 where definition ->> 'format' = 'mapped' and updated_at > created_at;

-- A failure that an older version of the service lists while this one begins has none, and is not parsed again.
alter table parse_failures add column source text;
update parse_failures f set source = d.source from raw_documents d where d.id = f.raw_document_id;
