//! The mock system beside the API: made-up people, and the faces of real systems under `/mock/`.

use std::net::SocketAddr;

use anyhow::{Context, Result, anyhow};
use mock_ats::{Api, Ats, Settings};
use resume_core::{
    db::{self, Role},
    parsing::Format,
    source::{self, DEFAULT_SOURCE, definition::Definition},
};

use crate::{database::Database, output::say};

/// What the mock allows, and so do its sources.
const CALLS_PER_SECOND: u32 = 30;

/// A mock system that admits every call: whoever tries a definition has no credential yet.
pub(crate) fn system() -> Ats {
    Ats::new(Settings { wants_credentials: false, ..Settings::default() })
}

/// Adds the made-up people that are served at this address to the sources.
pub(crate) async fn add_sources(database: &Database, address: SocketAddr) -> Result<()> {
    let base = local_url(address);
    let original = |name, path| Definition::original(name, &base, path, CALLS_PER_SECOND);
    let pool = db::pool(&database.url, Role::Api)?;
    let mut conn = pool.acquire().await.context("adding the mock system to the sources")?;
    for definition in [
        original(DEFAULT_SOURCE, "/api/v1/test-data"),
        original("test-data-links", "/api/v1/test-data").along_links(),
        original("json-resume", "/api/v1/json-resumes").of_format(Format::JsonResume),
    ] {
        let added = source::put(&mut conn, &definition).await;
        added.context("adding the mock system to the sources")?;
    }
    drop(conn);
    pool.close().await;
    Ok(())
}

/// How this machine reaches what is bound to an address.
fn local_url(address: SocketAddr) -> String {
    let host = if address.ip().is_unspecified() { "127.0.0.1".to_owned() } else { address.ip().to_string() };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    format!("http://{host}:{}", address.port())
}

/// Points a definition at the face of its system, which the service at `service_url` serves.
///
/// # Errors
/// When there is no such face.
pub(crate) fn point_at_face(definition: &mut Definition, service_url: &str) -> Result<()> {
    let face = Api::ALL.into_iter().find(|api| api.name() == definition.name).ok_or_else(|| {
        anyhow!(
            "there is no mock of {:?}; the name of a definition says of which: {}",
            definition.name,
            names()
        )
    })?;
    definition.base_url = format!("{}/mock/{}", service_url.trim_end_matches('/'), face.name());
    definition.fallback_urls.clear();
    definition.allow_private_network = true;
    // The mock wants none, and the secrets of the real system are not its business.
    definition.auth.clear();
    if let Some(attachments) = &mut definition.attachments {
        attachments.hosts = vec!["localhost".to_owned()];
    }
    Ok(())
}

/// Lists the faces, for people.
pub(crate) fn print_faces(address: SocketAddr) {
    say!("  mock systems    http://{address}/mock/NAME: {}", names());
    say!("                  try one without an account: sources add sources/lever.yaml --mock");
}

fn names() -> String {
    let mut names = Api::ALL.map(Api::name);
    names.sort_unstable();
    names.join(", ")
}
