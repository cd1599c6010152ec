//! A process that keeps the limit for itself, by a token bucket, as a Celery worker does with
//! `rate_limit="30/s"` (<https://docs.celeryq.dev/en/stable/userguide/tasks.html#Task.rate_limit>: "per
//! worker instance").

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use leaky_bucket::RateLimiter;

use crate::LIMIT;

#[derive(Debug, Clone, Args)]
pub(crate) struct Alone {
    #[arg(long)]
    source: String,
}

/// Calls as often as it may until it is killed.
pub(crate) async fn call(alone: &Alone) -> Result<()> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
    let spacing = Duration::from_secs(1) / LIMIT;
    let bucket = RateLimiter::builder().initial(1).max(1).refill(1).interval(spacing).build();
    for page in 1.. {
        bucket.acquire_one().await;
        let call =
            http.get(format!("{}?count=1000000&per_page=1&page={page}&errors=false&seed=1", alone.source));
        tokio::spawn(async move { call.send().await?.bytes().await });
    }
    Ok(())
}
