-- A chain of pages whose token has expired is read again from its beginning, once a run.
alter table collections add column restarted_in_run integer;
comment on column collections.restarted_in_run is 'the run in which the list was last read again from its beginning';
