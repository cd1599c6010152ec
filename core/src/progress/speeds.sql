-- $1 collection. What each connection did since its mark but one, ten to twenty seconds ago. Of a connection
-- that is younger what it did counts over ten seconds, or since the run began: another one may have done it
-- before. Documents count until the latest of anything: batches of a slow parser end together, and until the
-- next of them do nothing has slowed down.
select coalesce(sum(greatest(done - earlier_done, 0)
                    / greatest(extract(epoch from now - earlier_at), least(10, extract(epoch from now - begun_at)),
                               0.5)), 0)::float8 as "done_per_second!",
       coalesce(sum(greatest(parsed + failed - earlier_settled, 0)
                    / greatest(extract(epoch from until - earlier_at),
                               least(10, extract(epoch from until - begun_at)), 0.5)), 0)::float8
           as "settled_per_second!"
from (
    select *, case when latest_at > now - interval '5 s' then latest_at else now end as until
    from (
        select *, min(first_at) over () as begun_at, max(last_at) over () as latest_at
        from collection_counts cross join clock_timestamp() now where collection_id = $1
    ) c
) c
where last_at > now - interval '30 s'
