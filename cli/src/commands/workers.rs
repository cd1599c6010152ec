use anyhow::Result;

use crate::{
    client::{Client, Worker},
    options::WorkersOptions,
    output::say,
    table::{self, one_line, seconds, time},
};

pub(crate) async fn run(options: WorkersOptions) -> Result<()> {
    let list = Client::new(&options.service.url)?.workers().await?;
    let (workers, leader) = (list.results, list.leader);
    if workers.is_empty() {
        say!("no worker lives, or stopped within the last hour");
        return Ok(());
    }
    let rows: Vec<_> = workers
        .iter()
        .flat_map(|worker| rows(worker, leader.as_ref().map(|leader| leader.worker_id)))
        .collect();
    table::print_rows(["id", "worker", "since", "last heard of", "queue", "running", "slots", "mean"], &rows);
    match leader {
        Some(leader) => say!("* leads: worker {}, {}", leader.worker_id, one_line(&leader.name)),
        None => say!("none leads at the moment"),
    }
    Ok(())
}

/// A line for each queue that the worker works on; what is of the worker itself stands on the first.
fn rows(worker: &Worker, leader: Option<i64>) -> Vec<[String; 8]> {
    let heard_of = match &worker.stopped_at {
        Some(at) => format!("stopped {}", time(at)),
        None => time(&worker.heartbeat_at),
    };
    let mark = if leader == Some(worker.id) { "*" } else { "" };
    let own = [format!("{}{mark}", worker.id), worker.name.clone(), time(&worker.started_at), heard_of];
    let queues = worker.queues.iter().map(|queue| {
        let mean = queue.mean_run_seconds.map_or_else(String::new, seconds);
        [queue.queue.clone(), queue.running.to_string(), queue.slots.to_string(), mean]
    });
    let queues: Vec<_> = if worker.queues.is_empty() { vec![Default::default()] } else { queues.collect() };
    let line = |(n, [queue, running, slots, mean]): (usize, [String; 4])| {
        let [id, name, since, heard_of] = if n == 0 { own.clone() } else { Default::default() };
        [id, name, since, heard_of, queue, running, slots, mean]
    };
    queues.into_iter().enumerate().map(line).collect()
}
