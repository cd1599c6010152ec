//! A secret in a file that is replaced by the next one.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::failure::{failure, not_kept};
use crate::{
    CallError,
    secret::{SECRET_BYTES_MAX, SecretText},
};

/// How long a process waits for another one that fetches a token: twice as long as that takes at most.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(120);
/// How often it looks.
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(20);

/// A file with a secret, for as long as it is held by one process alone, with room for the next secret beside
/// it.
///
/// The lock is on a file of its own that stays, `<file>.lock`, since the file itself is another one after
/// each change. The room is `<file>.new`, readable by this user alone until the next secret is in it; it is
/// made and filled once before the secret is used, so that where it cannot be, nobody learns of it too late.
pub(super) struct Kept {
    path: PathBuf,
    room: PathBuf,
    _lock: File,
}

impl Kept {
    /// Waits until no other process holds the file, and makes room.
    ///
    /// # Errors
    /// `token_not_kept` where nothing can be written beside it, `token_timeout` when another process holds it
    /// for too long.
    pub(super) async fn hold(path: PathBuf) -> Result<Self, CallError> {
        let lock = open(&beside(&path, ".lock"), false).map_err(|error| no_room(&path, &error))?;
        let begun = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_WAIT_MAX => {
                    tokio::time::sleep(LOCK_LOOK_EVERY).await;
                }
                Err(TryLockError::WouldBlock) => {
                    let detail =
                        format!("another process has held {}.lock for {LOCK_WAIT_MAX:?}", path.display());
                    return Err(failure("token_timeout", detail).into());
                }
                Err(TryLockError::Error(error)) => return Err(no_room(&path, &error)),
            }
        }
        let kept = Self { room: beside(&path, ".new"), path, _lock: lock };
        // One that a crash has left may be one that nobody can write to, as the file that it was to replace.
        drop(fs::remove_file(&kept.room));
        // As much as there will be to write: a full disk shows now.
        blocking(move || match kept.fill(&[b'\n'; SECRET_BYTES_MAX as usize]) {
            Ok(()) => Ok(kept),
            Err(error) => Err(no_room(&kept.path, &error)),
        })
        .await
    }

    /// Puts the next secret in the place of this one: whoever reads the file finds the one or the other,
    /// whole, whatever crashes.
    ///
    /// # Errors
    /// `token_not_kept`; the file is as it was.
    pub(super) async fn replace(self, secret: SecretText) -> Result<(), CallError> {
        blocking(move || self.replace_now(&secret)).await
    }

    fn replace_now(&self, secret: &SecretText) -> Result<(), CallError> {
        let replaced = self
            .fill(format!("{}\n", secret.reveal()).as_bytes())
            .and_then(|()| self.liken())
            .and_then(|()| fs::rename(&self.room, &self.path))
            .and_then(|()| File::open(self.path.parent().unwrap_or(Path::new("/")))?.sync_all());
        replaced.map_err(|error| {
            not_kept(format!(
                "the token endpoint gave another refresh token, which could not be written to {}: {error}; log in anew and write the \
                 refresh token there",
                self.path.display()
            ))
        })
    }

    /// Gives the next file the owner and the mode of this one, so that whoever could read it still can, and
    /// nobody else. Where this process may not give it to the group, that group has no share in it.
    fn liken(&self) -> io::Result<()> {
        let (old, new) = (fs::metadata(&self.path)?, File::open(&self.room)?);
        let (owner, group) = (old.uid(), old.gid());
        let is_of_group =
            fchown(&new, Some(owner), Some(group)).is_ok() || fchown(&new, None, Some(group)).is_ok();
        let mode = old.permissions().mode() & if is_of_group { 0o777 } else { 0o707 };
        new.set_permissions(fs::Permissions::from_mode(mode))
    }

    fn fill(&self, content: &[u8]) -> io::Result<()> {
        let mut file = open(&self.room, true)?;
        file.write_all(content)?;
        file.sync_all()
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // After a change it is gone already; else it holds nothing. The lock goes after it.
        drop(fs::remove_file(&self.room));
    }
}

/// Runs what may wait for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn open(path: &Path, truncate: bool) -> io::Result<File> {
    OpenOptions::new().create(true).write(true).truncate(truncate).mode(0o600).open(path)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

fn no_room(path: &Path, error: &io::Error) -> CallError {
    not_kept(format!(
        "the token endpoint may give another refresh token, and it cannot be kept: nothing can be written beside {}: {error}; put the \
         refresh token into a directory that this process can write to. The token was not used",
        path.display()
    ))
}
