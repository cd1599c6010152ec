-- A link of a feed that was followed before is a loop, as in the other lists.

create unique index pages_link_of_deleted on pages (collection_id, md5(link))
where link is not null and step = 'deleted';
