with gone as (
    delete from collection_counts where collection_id = $1 returning *
)
insert into collection_counts
    (collection_id, backend, opened, opened_behind, done, failed_calls, made, rate_limited, listed, stored, unchanged, retried, parsed, failed, given_up, erased, first_at, last_at)
select $1, 0, sum(opened), sum(opened_behind), sum(done), sum(failed_calls), sum(made), sum(rate_limited), sum(listed), sum(stored), sum(unchanged), sum(retried), sum(parsed), sum(failed), sum(given_up), sum(erased), min(first_at), max(last_at)
from gone having count(*) > 0
