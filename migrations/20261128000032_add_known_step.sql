-- People who are known, whose links lead to a source that is asked for nobody else: looking through the resumes for them is a step,
-- in pages without a call. Alone, for a new value of an enum cannot be used in the transaction that adds it.

alter type page_step add value 'known';
