use anyhow::Result;
use mock_ats::Ats;

use crate::{
    database::Database,
    options::{ApiOptions, DatabaseOptions},
    service::Service,
    shutdown,
};

pub(crate) async fn run(database: &DatabaseOptions, options: ApiOptions) -> Result<()> {
    let database = Database::open(database).await?;
    let mut service = Service::new();
    let test_data = options.test_data.then(|| Ats::new(mock_ats::Settings::default()));
    let address = service.start_api(&database, options.bind.bind, test_data).await?;
    println!("API on http://{address}, documentation on http://{address}/docs");
    let result = service.run_until(shutdown::requested()).await;
    database.close().await;
    result
}
