use anyhow::Result;

use crate::{
    database::Database,
    options::{DatabaseOptions, WorkerOptions},
    service::Service,
    shutdown,
};

pub(crate) async fn run(database: &DatabaseOptions, options: WorkerOptions) -> Result<()> {
    let database = Database::open(database).await?;
    let mut service = Service::new();
    service.start_worker(&database, &options.work)?;
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}
