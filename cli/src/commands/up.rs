use std::net::SocketAddr;

use anyhow::Result;

#[cfg(feature = "mock")]
use crate::mock;
use crate::{
    database::{self, Database},
    options::{DatabaseOptions, UpOptions},
    output::say,
    service::{self, Service},
    shutdown,
};

pub(crate) async fn run(place: &DatabaseOptions, options: UpOptions) -> Result<()> {
    let database = Database::open(place, database::NAME).await?;
    let mut service = Service::default();
    #[cfg(feature = "mock")]
    let mock = Some(mock_ats::app(mock::system()));
    #[cfg(not(feature = "mock"))]
    let mock = None;
    let secrets_dir = options.work.secrets.secrets_dir.clone();
    let dry_calls = service::dry_calls(secrets_dir, options.check.check_private_networks)?;
    let erasure = &options.work.erasure;
    let address = service.start_api(&database, options.bind.bind, mock, dry_calls, erasure).await?;
    #[cfg(feature = "mock")]
    mock::add_sources(&database, address).await?;
    service.start_worker(&database, &options.work)?;
    say!("Resume Service is up; Ctrl-C stops it.");
    print_addresses(&database, database::NAME, address);
    #[cfg(feature = "mock")]
    mock::print_faces(address);
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}

/// Where to find what, for people.
pub(crate) fn print_addresses(database: &Database, name: &str, address: SocketAddr) {
    say!("  API             http://{address}/api/v1");
    say!("  documentation   http://{address}/docs");
    say!("  database        {}", database.describe());
    if let Some(cluster) = database.cluster() {
        say!("  psql            psql -h {} -U postgres {name}", cluster.socket_dir().display());
    }
}
