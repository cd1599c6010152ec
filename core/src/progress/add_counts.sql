-- $1 collection; then what is added. Every ten seconds what was done by then becomes the mark that speeds
-- are told by.
insert into collection_counts as c
    (collection_id, backend, opened, opened_behind, done, failed_calls, made, rate_limited, listed, stored, unchanged, retried, parsed, failed, given_up, erased)
values ($1, pg_backend_pid(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (collection_id, backend) do update
set opened = c.opened + excluded.opened,
    opened_behind = c.opened_behind + excluded.opened_behind,
    done = c.done + excluded.done,
    failed_calls = c.failed_calls + excluded.failed_calls,
    made = c.made + excluded.made,
    rate_limited = c.rate_limited + excluded.rate_limited,
    listed = c.listed + excluded.listed,
    stored = c.stored + excluded.stored,
    unchanged = c.unchanged + excluded.unchanged,
    retried = c.retried + excluded.retried,
    parsed = c.parsed + excluded.parsed,
    failed = c.failed + excluded.failed,
    given_up = c.given_up + excluded.given_up,
    erased = c.erased + excluded.erased,
    last_at = clock_timestamp(),
    mark_at = case when clock_timestamp() - c.mark_at > interval '10 s' then clock_timestamp() else c.mark_at end,
    mark_done = case when clock_timestamp() - c.mark_at > interval '10 s' then c.done else c.mark_done end,
    mark_settled = case when clock_timestamp() - c.mark_at > interval '10 s' then c.parsed + c.failed else c.mark_settled end,
    earlier_at = case when clock_timestamp() - c.mark_at > interval '10 s' then c.mark_at else c.earlier_at end,
    earlier_done = case when clock_timestamp() - c.mark_at > interval '10 s' then c.mark_done else c.earlier_done end,
    earlier_settled = case when clock_timestamp() - c.mark_at > interval '10 s' then c.mark_settled else c.earlier_settled end
