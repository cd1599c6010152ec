use std::{
    fs::{self, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use resume_core::erasure::Key;

use crate::{database::Database, options::ErasureOptions};

/// The name of the key of a private database, in its data directory.
const NAME: &str = "erasure.key";

/// The key with which the ids of erased people are hashed: the one that the options name, or that of the
/// private database, which is made when it is wanted for the first time. With a database of somebody else's
/// and without the option there is none.
pub(crate) fn find(options: &ErasureOptions, database: &Database) -> Result<Option<Key>> {
    // Files of settings have it empty where there is none.
    let named = options.erasure_key_file.as_deref().filter(|file| !file.as_os_str().is_empty());
    match (named, database.data_dir()) {
        (Some(file), _) => read(file).map(Some),
        (None, Some(data_dir)) => {
            let file = data_dir.join(NAME);
            if !file.exists() {
                make(&file).with_context(|| format!("making the erasure key {}", file.display()))?;
            }
            read(&file).map(Some)
        }
        (None, None) => Ok(None),
    }
}

fn read(file: &Path) -> Result<Key> {
    let bytes = fs::read(file).with_context(|| {
        format!(
            "cannot read the erasure key {} (--erasure-key-file, RESUME_ERASURE_KEY_FILE)",
            file.display()
        )
    })?;
    Key::new(&bytes).with_context(|| {
        format!("{} is no erasure key (--erasure-key-file, RESUME_ERASURE_KEY_FILE)", file.display())
    })
}

/// Makes a key that only its owner can read. Of several processes that make it at once one wins, and no other
/// sees half of it.
fn make(file: &Path) -> Result<()> {
    let mut random = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let draft = file.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    let mut written = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    written.write_all(digits.as_bytes())?;
    written.sync_all()?;
    let made = fs::hard_link(&draft, file);
    fs::remove_file(&draft)?;
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        make(&file).unwrap();
        let first = fs::read(&file).unwrap();
        make(&file).unwrap();
        assert_eq!((first.len(), fs::read(&file).unwrap()), (64, first));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        read(&file).unwrap();
    }

    #[test]
    fn a_file_that_is_no_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("short");
        assert!(format!("{:#}", read(&file).unwrap_err()).contains("RESUME_ERASURE_KEY_FILE"));
        fs::write(&file, "too short").unwrap();
        assert!(format!("{:#}", read(&file).unwrap_err()).contains("has 9 bytes, and needs 32 at least"));
    }
}
