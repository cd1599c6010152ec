-- A feed of those who were deleted: some systems tell so by a call of its own. Its pages are rows of `pages`, as those of all calls.
-- Alone, for a new value of an enum cannot be used in the transaction that adds it.

alter type page_step add value 'deleted';
