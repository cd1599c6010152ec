use anyhow::Result;
use mock_ats::Ats;

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
    let test_data = options.test_data.then(|| Ats::new(mock_ats::Settings::default()));
    let dry_calls = service::dry_calls(options.secrets.secrets_dir, options.check.check_private_networks)?;
    let address = service.start_api(&database, options.bind.bind, test_data, dry_calls).await?;
    say!("API on http://{address}, documentation on http://{address}/docs");
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}
