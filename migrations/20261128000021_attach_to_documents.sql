-- An item that changes while its list is read has two documents, each with its attachments: a file is fetched once for a document, not
-- once for an item.

create unique index pages_about_attachment on pages (collection_id, raw_document_id, place) where step = 'attachment';
create unique index pages_about_call on pages (
    collection_id, step, md5(coalesce(parent, '')), md5(coalesce(item, '')), place
) where place is not null and step <> 'attachment';
drop index pages_about;

-- Pages come in the order of their collections, and so do their documents: the ranges are summarized as they fill.
alter index raw_documents_collection set (autosummarize = on);
