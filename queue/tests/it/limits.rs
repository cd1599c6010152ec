//! Pausing, limits across the fleet, priorities, timeouts, and what the queue tells of itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use resume_queue::{
    JobState, Limits, NewJob, QueueConfig, cancel,
    inspect::{Reason, demand, queue, queues, why_not_running, workers},
    limit_queue, pause_queue, retry, unpause_queue,
};
use sqlx::PgPool;

use crate::support::*;

async fn reasons(pool: &PgPool, id: i64) -> Vec<Reason> {
    why_not_running(pool, id).await.unwrap().into_iter().map(|obstacle| obstacle.reason).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_starts_nothing_anywhere_until_it_goes_on() {
    let database = database().await;
    let pool = database.pool();
    let mut workers = Vec::new();
    for _ in 0..2 {
        workers.push(TestWorker::start(database.url()).await.work(4, |_: Work, _| async { Ok(()) }));
    }
    idle(pool).await;
    pause_queue(pool, "work").await.unwrap();
    let ids = enqueue_many(pool, 20, |n| Work { n }).await;
    let other = enqueue_one(pool, work(20).after(Duration::from_millis(10))).await;
    idle(pool).await;
    assert!(jobs(pool).await.iter().all(|job| job.state != JobState::Completed && job.attempt == 0));
    assert_eq!(reasons(pool, ids[0]).await[0], Reason::Paused);
    let row = queue(pool, "work").await.unwrap().unwrap();
    assert!(row.paused_at.is_some());
    assert_eq!((row.workers, row.slots), (2, 8));

    unpause_queue(pool, "work").await.unwrap();
    for id in ids.into_iter().chain([other]) {
        until_state(pool, id, JobState::Completed).await;
    }
    for worker in workers {
        worker.stop().await;
    }
}

/// Notes how many jobs of each key ran at once, over all workers.
#[derive(Debug, Clone, Default)]
struct Peak(Arc<Mutex<HashMap<i64, (usize, usize)>>>);

impl Peak {
    fn enter(&self, key: i64) {
        let mut counts = self.0.lock().unwrap();
        let (now, peak) = counts.entry(key).or_default();
        *now += 1;
        *peak = (*peak).max(*now);
    }

    fn leave(&self, key: i64) {
        self.0.lock().unwrap().get_mut(&key).unwrap().0 -= 1;
    }

    fn of(&self, key: i64) -> usize {
        self.0.lock().unwrap()[&key].1
    }
}

async fn fleet(url: &str, workers: usize, peak: &Peak, key_of: fn(i64) -> i64) -> Vec<TestWorker> {
    let mut fleet = Vec::new();
    for _ in 0..workers {
        let peak = peak.clone();
        let worker = TestWorker::start(url).await.work(8, move |work: Work, _| {
            let peak = peak.clone();
            async move {
                peak.enter(key_of(work.n));
                tokio::time::sleep(Duration::from_millis(5)).await;
                peak.leave(key_of(work.n));
                Ok(())
            }
        });
        fleet.push(worker);
    }
    fleet
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_holds_across_the_fleet_and_is_used() {
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: Some(3), max_running_per_key: None }).await.unwrap();
    let ids = enqueue_many(pool, 150, |n| Work { n }).await;
    let peak = Peak::default();
    let workers = fleet(database.url(), 3, &peak, |_| 0).await;
    for id in ids {
        until_state(pool, id, JobState::Completed).await;
    }
    assert_eq!(peak.of(0), 3);
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_keys_holds_across_the_fleet_and_a_busy_key_is_passed_by() {
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: None, max_running_per_key: Some(2) }).await.unwrap();
    // A long row of one key in front of two others and of some without.
    let keyed = |n: i64| {
        let job = work(n);
        match n {
            0..80 => job.concurrency_key("first"),
            80..100 => job.concurrency_key("second"),
            100..120 => job.after(Duration::from_millis(1)).concurrency_key("third"),
            _ => job,
        }
    };
    let batch: Vec<NewJob> = (0..140).map(keyed).collect();
    let ids: Vec<i64> = enqueue_jobs(pool, &batch).await.into_iter().map(inserted).collect();
    let peak = Peak::default();
    let key_of = |n| match n {
        0..80 => 1,
        80..100 => 2,
        100..120 => 3,
        _ => 4,
    };
    let workers = fleet(database.url(), 2, &peak, key_of).await;
    for id in &ids {
        until_state(pool, *id, JobState::Completed).await;
    }
    assert_eq!([peak.of(1), peak.of(2), peak.of(3)], [2, 2, 2]);
    assert!(peak.of(4) > 2, "jobs without a key have no limit: {}", peak.of(4));
    let all = jobs(pool).await;
    let ended =
        |ids: &[i64]| all.iter().filter(|job| ids.contains(&job.id)).map(|j| j.finished_at).max().unwrap();
    assert!(
        ended(&ids[80..100]) < ended(&ids[..80]),
        "the second key need not wait for the end of the first"
    );
    for worker in workers {
        worker.stop().await;
    }
}

/// Adds available jobs of the queue `work`: `count` for each of the keys, none of which is `null`.
async fn add_keyed(pool: &PgPool, count: i64, keys: &str) {
    let jobs = format!(
        "insert into queue.live_jobs (queue, kind, state, max_attempts, args, concurrency_key)
         select 'work', 'work', 'available', 3, jsonb_build_object('n', ord), key
         from unnest(array[{keys}]) with ordinality k (key, ord), generate_series(1, {count})"
    );
    execute(pool, jobs).await;
}

/// Behind a busy key that takes up the front of the queue, other keys and jobs without one get their share,
/// although some of them never run out of jobs.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_starves_behind_a_busy_one() {
    const KEYS: i64 = 40;
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: None, max_running_per_key: Some(1) }).await.unwrap();
    add_keyed(pool, 1200, "'busy'").await;
    assert_eq!(claim_by_hand(pool, 5).await, [1], "one of the busy key and nothing else");
    let keys: Vec<String> = (0..KEYS).map(|n| format!("'key {n}'")).collect();
    add_keyed(pool, 100, &format!("null, {}", keys.join(", "))).await;
    // It has just looked for jobs without a key, and would let a second pass.
    execute(pool, "update queue.queues set lap_began_at = lap_began_at - interval '1 second'").await;
    let mut seen = HashMap::<i64, usize>::new();
    for round in 0..80 {
        let claimed = claim_by_hand(pool, 4).await;
        assert_eq!(claimed.len(), 4, "round {round}");
        claimed.into_iter().for_each(|n| *seen.entry(n).or_default() += 1);
        let end =
            "delete from queue.live_jobs where state = 'running' and concurrency_key is distinct from 'busy'";
        execute(pool, end).await;
    }
    // By lot, half of the claims go to the jobs without a key, and half to the keys in turn.
    let keyed: Vec<usize> = (2..KEYS + 2).map(|n| seen.get(&n).copied().unwrap_or_default()).collect();
    let (fewest, most) = (keyed.iter().min().unwrap(), keyed.iter().max().unwrap());
    assert!(*fewest > 0 && most - fewest <= 1, "{keyed:?}");
    assert!(seen[&1] > 0, "{seen:?}");
}

/// Jobs without a key are found however many of a busy key are in front of them, those with an early turn
/// too.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_key_is_found_behind_a_busy_key() {
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: None, max_running_per_key: Some(1) }).await.unwrap();
    add_keyed(pool, 45_000, "'busy'").await;
    assert_eq!(claim_by_hand(pool, 1).await, [1]);
    let free = enqueue_many(pool, 20, |n| Work { n: 100 + n }).await;
    let mut claimed = Vec::new();
    for _ in 0..3 {
        claimed.extend(claim_by_hand(pool, 1).await);
    }
    assert_eq!(claimed, [100], "each claim looks at a part of the queue");
    let middle = "update queue.live_jobs set concurrency_key = null, args = '{\"n\": 99}' \
                  where id = (select id from queue.live_jobs where state = 'available' order by turn, id offset 6000 limit 1)";
    execute(pool, middle).await;
    for _ in 0..3 {
        enqueue_many(pool, 20, |n| Work { n: 200 + n }).await;
        claimed.extend(claim_by_hand(pool, 20).await);
    }
    assert!(claimed.contains(&99), "a queue that gets more than it can do: {claimed:?}, {free:?}");
}

/// Looks for jobs without a key that find none are made once a second; one that comes in meanwhile is found
/// by the next.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_without_a_key_are_looked_for_once_a_second_where_there_are_none() {
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: None, max_running_per_key: Some(1) }).await.unwrap();
    add_keyed(pool, 1200, "'busy'").await;
    assert_eq!(claim_by_hand(pool, 1).await, [1]);
    let began = "select (extract(epoch from lap_began_at) * 1000000)::bigint from queue.queues";
    assert_eq!(number(pool, began).await, None);
    assert!(claim_by_hand(pool, 1).await.is_empty());
    let first = number(pool, began).await;
    assert!(first.is_some());
    // As if it had begun a while from now: however slow this test is, a second has not passed.
    execute(pool, "update queue.queues set lap_began_at = now() + interval '1 hour'").await;
    enqueue_many(pool, 1, |_| Work { n: 100 }).await;
    assert!(claim_by_hand(pool, 1).await.is_empty());
    execute(pool, "update queue.queues set lap_began_at = now() - interval '1 second'").await;
    assert_eq!(claim_by_hand(pool, 1).await, [100]);
    enqueue_many(pool, 1, |_| Work { n: 101 }).await;
    let mut found = claim_by_hand(pool, 1).await;
    found.extend(claim_by_hand(pool, 1).await);
    assert_eq!(found, [101], "where it found one it looks again at once");
}

/// What is running is counted from the jobs, so nothing has to be given back.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_survives_the_death_of_the_holder() {
    let database = database().await;
    let pool = database.pool();
    limit_queue(pool, "work", Limits { max_running: Some(1), max_running_per_key: Some(1) }).await.unwrap();
    let holder =
        TestWorker::start(database.url()).await.work(1, |_: Work, _| std::future::pending::<HandlerResult>());
    let held = enqueue_one(pool, work(1).concurrency_key("key")).await;
    until_state(pool, held, JobState::Running).await;
    let next = enqueue_one(pool, work(2).concurrency_key("key")).await;
    assert_eq!(reasons(pool, next).await, [Reason::QueueLimit, Reason::KeyBusy, Reason::Behind]);
    drop(holder);
    let heir = TestWorker::start(database.url()).await.work(4, |_: Work, _| async { Ok(()) });
    for id in [held, next] {
        until_state(pool, id, JobState::Completed).await;
    }
    heir.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_of_priority_is_worth_a_minute_so_nobody_starves() {
    let database = database().await;
    let pool = database.pool();
    let old = enqueue_one(pool, work(1)).await;
    execute(
        pool,
        format!("update queue.live_jobs set run_at = run_at - interval '5 minutes', turn = turn - interval '5 minutes' where id = {old}"),
    )
    .await;
    let plain = enqueue_one(pool, work(2)).await;
    let low = enqueue_one(pool, work(3).priority(-1)).await;
    let high = enqueue_one(pool, work(4).priority(4)).await;
    let highest = enqueue_one(pool, work(5).priority(6)).await;
    let seen = Seen::new();
    let noting = seen.clone();
    let worker = TestWorker::start(database.url()).await.work(1, move |work: Work, _| {
        noting.note(work.n);
        async { Ok(()) }
    });
    assert_eq!(seen.until_count(5).await, [5, 1, 4, 2, 3], "{:?}", [old, plain, low, high, highest]);
    worker.stop().await;
}

/// The claim goes on behind what it claimed before; what comes in front of that must not wait for the end of
/// the backlog.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_of_higher_priority_passes_a_backlog() {
    let database = database().await;
    let pool = database.pool();
    enqueue_many(pool, 3000, |n| Work { n }).await;
    let worker = TestWorker::start(database.url()).await.work(2, |_: Work, _| async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(())
    });
    until("the backlog is worked on", || async { (live_jobs(pool).await < 2900).then_some(()) }).await;
    let urgent = enqueue_one(pool, work(-1).priority(10)).await;
    until_state(pool, urgent, JobState::Completed).await;
    assert!(live_jobs(pool).await > 500, "{} jobs are left of the backlog", live_jobs(pool).await);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_fails_and_frees_its_slot() {
    let database = database().await;
    let pool = database.pool();
    let worker = TestWorker::start(database.url()).await.work(1, |job: Hasty, lease| async move {
        match (job.0.as_str(), lease.attempt()) {
            ("waits", 1) => std::future::pending().await,
            // Blocks its thread: nothing can stop it.
            ("blocks", 1) => {
                std::thread::sleep(Duration::from_secs(3));
                Ok(())
            }
            _ => Ok(()),
        }
    });
    let waits = enqueue_one(pool, NewJob::new(&Hasty("waits".to_owned())).unwrap()).await;
    let blocks = enqueue_one(pool, NewJob::new(&Hasty("blocks".to_owned())).unwrap()).await;
    for id in [waits, blocks] {
        let job = until_state(pool, id, JobState::Retryable).await;
        assert_eq!(job.failures(), [(1, "the attempt took longer than 50ms".to_owned())]);
        assert_eq!(job.errors.unwrap()[0]["code"], "timeout");
        retry(pool, id).await.unwrap();
        assert_eq!(until_state(pool, id, JobState::Completed).await.attempt, 2);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_tells_why_a_job_does_not_run() {
    let database = database().await;
    let pool = database.pool();
    let later = enqueue_one(pool, work(1).after(Duration::from_secs(500))).await;
    let obstacles = why_not_running(pool, later).await.unwrap();
    assert_eq!(obstacles.iter().map(|o| o.reason).collect::<Vec<_>>(), [Reason::Waiting, Reason::NoWorker]);
    assert_eq!(obstacles[0].until, Some(until_job(pool, later, |_| true).await.run_at));
    let first = enqueue_one(pool, work(2)).await;
    let second = enqueue_one(pool, work(3)).await;
    let third = enqueue_one(pool, work(4).priority(1)).await;
    let ahead = |obstacles: Vec<resume_queue::inspect::Obstacle>| obstacles.last().unwrap().ahead;
    assert_eq!(ahead(why_not_running(pool, second).await.unwrap()), Some(2));
    assert_eq!(ahead(why_not_running(pool, third).await.unwrap()), Some(0));
    assert_eq!(reasons(pool, 12345).await, [Reason::Unknown]);
    cancel(pool, second).await.unwrap();
    assert_eq!(reasons(pool, second).await, [Reason::Ended]);
    let worker =
        TestWorker::start(database.url()).await.work(2, |_: Work, _| std::future::pending::<HandlerResult>());
    until_state(pool, first, JobState::Running).await;
    assert_eq!(reasons(pool, first).await, [Reason::Running]);
    worker.stop_within(Duration::ZERO).await;
}

/// Those that are due and that no claim has made available yet are in front too.
#[tokio::test(flavor = "multi_thread")]
async fn due_jobs_are_counted_among_those_in_front() {
    let database = database().await;
    let pool = database.pool();
    enqueue_many(pool, 300, |n| Work { n }).await;
    let make_due = "update queue.live_jobs set state = case when id % 2 = 0 then 'scheduled' else 'retryable' end::queue.job_state";
    execute(pool, make_due).await;
    enqueue_one(pool, work(0).after(Duration::from_secs(500))).await;
    let last = enqueue_one(pool, work(1)).await;
    let behind = async |id: i64| {
        let obstacle = why_not_running(pool, id).await.unwrap().pop().unwrap();
        (obstacle.detail, obstacle.ahead)
    };
    assert_eq!(behind(last).await, ("300 jobs are in front of it".to_owned(), Some(300)));
    let early = enqueue_one(pool, work(2).priority(1).after(Duration::from_millis(1))).await;
    until("it is due", || async { (behind(early).await.1 == Some(0)).then_some(()) }).await;
    assert_eq!(behind(early).await.0, "the job is next in its queue");
    assert_eq!(behind(last).await.1, Some(301));
    let many = "insert into queue.live_jobs (queue, kind, state, max_attempts, args, run_at, turn)
                select 'work', 'work', 'scheduled', 3, '{}', now() - interval '1 day', now() + interval '1 day'
                from generate_series(1, 12000)";
    execute(pool, many).await;
    let (detail, ahead) = behind(last).await;
    assert_eq!((detail.as_str(), ahead), ("at least 0 jobs are in front of it", Some(0)));
    execute(pool, "update queue.live_jobs set turn = run_at").await;
    let (detail, ahead) = behind(last).await;
    assert_eq!((detail.as_str(), ahead), ("at least 10000 jobs are in front of it", Some(10_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_tells_how_many_workers_it_wants() {
    let database = database().await;
    let pool = database.pool();
    assert_eq!(queues(pool).await.unwrap(), []);
    enqueue_many(pool, 120, |n| Work { n }).await;
    // A second a job until one is known: two at a time for a minute.
    let before = demand(pool, "work", Duration::from_secs(60)).await.unwrap();
    assert_eq!((before.waiting, before.workers, before.workers_wanted, before.mean_run_s), (120, 0, 2, None));
    let worker =
        TestWorker::start(database.url()).await.work(4, |_: Work, _| std::future::pending::<HandlerResult>());
    let busy = until("four jobs run", || async {
        Some(demand(pool, "work", Duration::from_secs(60)).await.unwrap())
            .filter(|demand| demand.running == 4)
    })
    .await;
    assert_eq!((busy.waiting, busy.workers, busy.slots_per_worker, busy.workers_wanted), (116, 1, 4.0, 2));
    let [row] = &workers(pool).await.unwrap()[..] else { panic!("one worker") };
    assert_eq!((row.queues[0].queue.as_str(), row.queues[0].slots, row.queues[0].running), ("work", 4, 4));
    pause_queue(pool, "work").await.unwrap();
    assert_eq!(demand(pool, "work", Duration::from_secs(60)).await.unwrap().workers_wanted, 0);
    let names: Vec<String> = queues(pool).await.unwrap().into_iter().map(|queue| queue.name).collect();
    assert_eq!(names, ["work"]);
    worker.stop_within(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_takes_more_at_once_while_jobs_wait() {
    let database = database().await;
    let pool = database.pool();
    let ids = enqueue_many(pool, 40, |n| Work { n }).await;
    execute(pool, "update queue.live_jobs set run_at = run_at - interval '1 s', created_at = created_at - interval '1 s'").await;
    let worker = TestWorker::start(database.url())
        .await
        .work_with(QueueConfig::between(1, 16), |_: Work, _| std::future::pending::<HandlerResult>());
    let running = "select count(*) from queue.live_jobs where state = 'running'";
    until("sixteen jobs run", || async { (number(pool, running).await == Some(16)).then_some(()) }).await;
    let ten_seconds_later = workers(pool).await.unwrap();
    assert!(ten_seconds_later[0].queues[0].slots <= 16, "{ids:?}");
    worker.stop_within(Duration::ZERO).await;
}
