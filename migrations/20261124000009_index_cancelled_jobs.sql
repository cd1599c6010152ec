-- Cancelled jobs lie between completed ones, of which there may be millions: who looks for the few must not read the many.
-- A completed job has no entry in this index, so its end costs nothing more.
create index job_history_cancelled on queue.job_history_ended (id) where state = 'cancelled';
