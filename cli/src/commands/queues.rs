use anyhow::Result;

use crate::{
    client::{Client, Depths, Queue, Total},
    options::{DemandOptions, LimitQueueOptions, QueuesCommand},
    output::say,
    table::{self, seconds, time},
};

pub(crate) async fn run(command: QueuesCommand) -> Result<()> {
    let queues = match command {
        QueuesCommand::List(options) => Client::new(&options.service.url)?.queues().await?,
        QueuesCommand::Pause(options) => {
            vec![Client::new(&options.service.url)?.pause_queue(&options.name).await?]
        }
        QueuesCommand::Unpause(options) => {
            vec![Client::new(&options.service.url)?.unpause_queue(&options.name).await?]
        }
        QueuesCommand::Limit(options) => vec![limit(&options).await?],
        QueuesCommand::Demand(options) => return demand(&options).await,
    };
    print(&queues);
    Ok(())
}

fn print(queues: &[Queue]) {
    let limit = |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |n| n.to_string());
    let count = |total: &Total| format!("{}{}", total.value, if total.exact { "" } else { "+" });
    let row = |queue: &Queue| {
        // What nobody has counted yet is left open.
        let depths = queue.depths.as_ref();
        let depth = |of: fn(&Depths) -> &Total| depths.map(of).map_or_else(String::new, count);
        [
            queue.name.clone(),
            queue.paused_at.as_ref().map_or_else(String::new, |at| time(at)),
            limit(queue.max_running),
            limit(queue.max_running_per_key),
            queue.workers.to_string(),
            queue.slots.to_string(),
            depth(|depths| &depths.available),
            depth(|depths| &depths.running),
            depth(|depths| &depths.scheduled),
            depth(|depths| &depths.retryable),
            depths.and_then(|depths| depths.oldest_wait_seconds).map_or_else(String::new, seconds),
        ]
    };
    let rows: Vec<_> = queues.iter().map(row).collect();
    let header = [
        "queue",
        "paused since",
        "max running",
        "per key",
        "workers",
        "slots",
        "available",
        "running",
        "scheduled",
        "retryable",
        "oldest wait",
    ];
    table::print_rows(header, &rows);
}

/// What is not given stays as it is. The service takes both limits at once, so somebody who changes the other
/// one at the same moment may lose.
async fn limit(options: &LimitQueueOptions) -> Result<Queue> {
    let client = Client::new(&options.service.url)?;
    let now = client.queue(&options.name).await?;
    let max_running = options.max_running.map_or(now.max_running, |limit| limit.0);
    let per_key = options.max_running_per_key.map_or(now.max_running_per_key, |limit| limit.0);
    client.limit_queue(&options.name, max_running, per_key).await
}

async fn demand(options: &DemandOptions) -> Result<()> {
    let demand = Client::new(&options.service.url)?.demand(&options.name, &options.target).await?;
    let waiting = &demand.waiting;
    say!("waiting           {}{}", if waiting.exact { "" } else { "more than " }, waiting.value);
    say!("running           {}", demand.running);
    say!("mean run          {}", demand.mean_run_seconds.map_or_else(|| "unknown yet".to_owned(), seconds));
    say!("slots per worker  {:.1}", demand.slots_per_worker);
    say!("workers           {}", demand.workers);
    say!("workers wanted    {}", demand.workers_wanted);
    Ok(())
}
