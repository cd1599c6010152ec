use anyhow::Result;

#[cfg(feature = "mock")]
use crate::mock;
use crate::{
    database::{self, Database},
    options::{ApiOptions, DatabaseOptions},
    output::say,
    service::{self, Service},
    shutdown,
};

pub(crate) async fn run(place: &DatabaseOptions, options: ApiOptions) -> Result<()> {
    let database = Database::open(place, database::NAME).await?;
    let mut service = Service::default();
    #[cfg(feature = "mock")]
    let mock = options.test_data.then(|| mock_ats::app(mock::system()));
    #[cfg(not(feature = "mock"))]
    let mock = None;
    let dry_calls = service::dry_calls(options.secrets.secrets_dir, options.check.check_private_networks)?;
    let address = service.start_api(&database, options.bind.bind, mock, dry_calls, &options.erasure).await?;
    #[cfg(feature = "mock")]
    if options.test_data {
        mock::add_sources(&database, address).await?;
    }
    say!("API on http://{address}, documentation on http://{address}/docs");
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}
