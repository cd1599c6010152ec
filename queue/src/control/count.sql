-- How many of the newest jobs a filter chooses. $1 states, $2 filter, $3 the most to look at of each sort.
-- Each sort of ended jobs from its own partitions, or by its name, so that an index serves it whatever the planner knows; among
-- completed ones the cancelled ones are read as well.
select coalesce(sum(chosen), 0)::bigint as "chosen!", bool_and(looked < $3) as "is_all!"
from (
    select count(*) filter (where is_chosen) as chosen, count(*) as looked
    from (
        select state = any($1) and queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
        from queue.live_jobs
        where $1 && '{available, scheduled, running, retryable}'
        order by id desc limit $3
    ) live
    union all
    select count(*) filter (where is_chosen), count(*)
    from (
        select state = any($1) and queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
        from queue.job_history_ended
        where 'completed' = any($1)
        order by id desc limit $3
    ) completed
    union all
    select count(*) filter (where is_chosen), count(*)
    from (
        select queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
        from queue.job_history_ended
        where state = 'cancelled' and 'cancelled' = any($1) and 'completed' <> all($1)
        order by id desc limit $3
    ) cancelled
    union all
    select count(*) filter (where is_chosen), count(*)
    from (
        select queue.matches(queue, kind, errors, created_at, group_id, args, $2) as is_chosen
        from queue.job_history_discarded
        where 'discarded' = any($1)
        order by id desc limit $3
    ) discarded
) sorts
