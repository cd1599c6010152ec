-- Forgets old unique keys whose jobs are in neither table any more.
-- $1 older than so many days, $2 to $4 after this key: when it was taken (null: from the oldest on), its queue, and itself,
-- $5 the most to look at.
with aged as materialized (
    select taken_at, queue, key, job_id from queue.unique_keys
    where taken_at < now() - make_interval(days => $1)
      and taken_at >= coalesce($2::timestamptz, '-infinity')
      and (taken_at, queue, key) > (coalesce($2::timestamptz, '-infinity'), $3::text, $4::text)
    order by taken_at, queue, key limit $5
),
ids as materialized (
    select array(select job_id from aged) as of_aged
),
known as materialized (
    select id from queue.live_jobs where id = any((select of_aged from ids)::bigint[])
    union all
    select id from queue.job_history where id = any((select of_aged from ids)::bigint[])
),
-- Only while it is still that job's: another one may take the key at this moment.
forgotten as (
    delete from queue.unique_keys u using aged a
    where u.queue = a.queue and u.key = a.key and u.job_id = a.job_id and a.job_id not in (select id from known)
    returning u.job_id
),
last as (
    select taken_at, queue, key from aged order by taken_at desc, queue desc, key desc limit 1
)
select (select count(*) from forgotten) as "forgotten!", (select count(*) from aged) as "looked!",
       (select taken_at from last) as "taken_at?", (select queue from last) as "queue?", (select key from last) as "key?"
