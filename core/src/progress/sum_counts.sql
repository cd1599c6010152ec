-- $1 collection.
select coalesce(sum(opened), 0)::bigint as "opened!",
       coalesce(sum(opened_behind), 0)::bigint as "opened_behind!",
       coalesce(sum(done), 0)::bigint as "done!",
       coalesce(sum(failed_calls), 0)::bigint as "failed_calls!",
       coalesce(sum(made), 0)::bigint as "made!",
       coalesce(sum(rate_limited), 0)::bigint as "rate_limited!",
       coalesce(sum(listed), 0)::bigint as "listed!",
       coalesce(sum(stored), 0)::bigint as "stored!",
       coalesce(sum(unchanged), 0)::bigint as "unchanged!",
       coalesce(sum(retried), 0)::bigint as "retried!",
       coalesce(sum(parsed), 0)::bigint as "parsed!",
       coalesce(sum(failed), 0)::bigint as "failed!",
       coalesce(sum(given_up), 0)::bigint as "given_up!",
       coalesce(sum(erased), 0)::bigint as "erased!"
from collection_counts where collection_id = $1
