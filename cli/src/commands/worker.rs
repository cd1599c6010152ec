use anyhow::Result;

use crate::{
    database::{self, Database},
    options::{DatabaseOptions, WorkerOptions},
    service::Service,
    shutdown,
};

pub(crate) async fn run(place: &DatabaseOptions, options: WorkerOptions) -> Result<()> {
    let database = Database::open(place, database::NAME).await?;
    let mut service = Service::default();
    if let Some(bind) = options.metrics_bind {
        let address = service.start_metrics(&database, bind).await?;
        tracing::info!("metrics on http://{address}/metrics");
    }
    service.start_worker(&database, &options.work)?;
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}
