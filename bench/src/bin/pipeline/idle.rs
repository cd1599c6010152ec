use std::{path::Path, time::Duration};

use anyhow::{Context, Result};
use bench::{Target, processor_seconds};
use resume_postgres::Cluster;

use crate::service::Service;

/// How long the service is left alone before it is called idle, and how long it is then watched.
const SETTLE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(30);

pub(crate) async fn watch(binary: &Path, cluster: &Cluster) -> Result<Vec<Target>> {
    let service = Service::start(binary, &cluster.url("idle"), 0, "0s").await?;
    let pid = service.pids().first().copied().context("the service is gone")?;
    tokio::time::sleep(SETTLE).await;
    let before = processor_seconds(pid)?;
    tokio::time::sleep(WATCH).await;
    let percent = (processor_seconds(pid)? - before) / WATCH.as_secs_f64() * 100.0;
    let megabytes = bench::memory_megabytes(pid, bench::Memory::Now)?;
    service.stop().await?;
    println!("idle `up`, watched for {} s", WATCH.as_secs());
    println!("  resident memory, MB             {megabytes:.1}");
    println!("  processor, % of one core        {percent:.2}");
    Ok(vec![
        Target::at_most("idle_memory_mb", megabytes, 100.0),
        Target::at_most("idle_processor_percent", percent, 1.0),
    ])
}
