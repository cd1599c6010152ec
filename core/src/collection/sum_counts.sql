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
       coalesce(sum(erased), 0)::bigint as "erased!",
       -- How fast things go, by what each connection did since its mark but one, five to ten seconds ago. Of
       -- one that is younger what it did counts over five seconds, or since the run began: another connection
       -- may have done it before.
       coalesce(sum(greatest(done - earlier_done, 0)
                    / greatest(extract(epoch from clock_timestamp() - earlier_at), least(5, age), 0.5))
           filter (where last_at > clock_timestamp() - interval '30 s'), 0)::float8 as "done_per_second!",
       coalesce(sum(greatest(parsed + failed - earlier_settled, 0)
                    / greatest(extract(epoch from clock_timestamp() - earlier_at), least(5, age), 0.5))
           filter (where last_at > clock_timestamp() - interval '30 s'), 0)::float8 as "settled_per_second!"
from (
    select *, extract(epoch from clock_timestamp() - min(first_at) over ()) as age
    from collection_counts where collection_id = $1
) c
