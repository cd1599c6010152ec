use std::net::SocketAddr;

use anyhow::Result;
use mock_ats::Ats;

use crate::{
    database::Database,
    options::{DatabaseOptions, UpOptions},
    service::Service,
    shutdown,
};

pub(crate) async fn run(database: &DatabaseOptions, options: UpOptions) -> Result<()> {
    let database = Database::open(database).await?;
    let mut service = Service::new();
    let test_data = Ats::new(mock_ats::Settings::default());
    let address = service.start_api(&database, options.bind.bind, Some(test_data)).await?;
    service.start_worker(&database, &options.work)?;
    println!("Resume Service is up; Ctrl-C stops it.");
    print_addresses(&database, address);
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}

/// Where to find what, for people.
pub(crate) fn print_addresses(database: &Database, address: SocketAddr) {
    println!("  API             http://{address}/api/v1");
    println!("  documentation   http://{address}/docs");
    println!("  database        {}", database.describe());
    if let Some(cluster) = database.cluster() {
        println!("  psql            psql -h {} -U postgres resume", cluster.socket_dir().display());
    }
}
