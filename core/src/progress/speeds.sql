-- $1 collection. What each connection did since its mark but one, five to ten seconds ago. Of one that is
-- younger what it did counts over five seconds, or since the run began: another connection may have done it
-- before.
select coalesce(sum(greatest(done - earlier_done, 0)
                    / greatest(extract(epoch from clock_timestamp() - earlier_at), least(5, age), 0.5))
           filter (where last_at > clock_timestamp() - interval '30 s'), 0)::float8 as "done_per_second!",
       coalesce(sum(greatest(parsed + failed - earlier_settled, 0)
                    / greatest(extract(epoch from clock_timestamp() - earlier_at), least(5, age), 0.5))
           filter (where last_at > clock_timestamp() - interval '30 s'), 0)::float8 as "settled_per_second!"
from (
    select *, extract(epoch from clock_timestamp() - min(first_at) over ()) as age
    from collection_counts where collection_id = $1
) c
