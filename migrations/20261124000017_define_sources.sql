-- A source is described by its definition, as people write it in a file. What was in columns until now is written as one: the
-- sources so far all had the parameters of the original external API, and most were on this machine.

alter table sources
    add column definition jsonb,
    add column created_at timestamptz not null default now(),
    add column removed_at timestamptz;
comment on column sources.definition is 'how to collect from it; holds references to secrets, never a secret';
comment on column sources.removed_at is 'when it was removed; its collections and documents stay';

update sources set definition = jsonb_build_object(
    'name', name,
    'base_url', substring(url from '^[^:]+://[^/]+'),
    'allow_private_network', true,
    'limits', jsonb_build_array(jsonb_build_object('calls', calls_per_second, 'per', '1s')),
    'list', jsonb_build_object(
        'path', coalesce(substring(url from '^[^:]+://[^/]+(/.*)$'), '/'),
        'params', jsonb_build_object(
            'count', '{count}', 'per_page', '{per_page}', 'page', '{page}', 'errors', '{error_mode}', 'seed', '{seed}'),
        'items', '/results',
        'per_page_max', 1000,
        'paging', case paging
            when 'numbered' then '{"numbered": {}}'::jsonb
            else '{"next_url": {"at": "/next"}}'::jsonb
        end),
    'format', format);

alter table sources
    alter column definition set not null,
    drop column url,
    drop column paging,
    drop column format,
    drop column calls_per_second;
drop type paging;
