-- Items of any shape: the definition of their source says where in them the fields of a resume are.
-- Alone in its migration, because a new value of an enum cannot be used in the transaction that adds it.
alter type document_format add value 'mapped';
