use std::{
    env, fmt,
    fs::File,
    io,
    io::Read,
    path::{Path, PathBuf},
};

use resume_core::source::definition::{Secret, SecretPlace};

use crate::CallError;

/// The longest secret: tokens with signatures have some KiB, and servers take no more than that in a header.
pub(crate) const SECRET_BYTES_MAX: u64 = 8 * 1024;

/// A secret itself. Never stored, and shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SecretText(String);

impl SecretText {
    /// A secret that somebody gave us.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret, to be sent to whom it belongs and to nobody else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

/// The secrets that may be given to sources. Whoever can add a source says where they are sent, so it must
/// not be possible to name just any variable or file of this process: not its database URL, not a private
/// key.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    directory: PathBuf,
}

impl Secrets {
    /// Those of variables that begin with `RESUME_SECRET_`, and of the files in this directory.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The file that holds a secret, links followed.
    ///
    /// # Errors
    /// [`CallError::SecretMissing`] when there is no such file among those that may be given to sources, and
    /// [`CallError::SecretInvalid`] for a secret that is in no file.
    pub(crate) fn file(&self, secret: &Secret) -> Result<PathBuf, CallError> {
        match secret.place() {
            Some(SecretPlace::File(path)) => inside(path, &self.directory),
            _ => Err(CallError::SecretInvalid(format!("{} is no file", place_of(secret)))),
        }
    }

    /// Reads a secret where the definition says that it is. Nothing is kept: one that was changed is used
    /// from the next call on.
    ///
    /// # Errors
    /// [`CallError::SecretMissing`] and [`CallError::SecretInvalid`], which name the variable or the file.
    pub(crate) async fn read(&self, secret: &Secret) -> Result<SecretText, CallError> {
        match secret.place() {
            Some(SecretPlace::Env(name)) => read_variable(name),
            Some(SecretPlace::File(path)) => {
                let (path, directory) = (path.to_owned(), self.directory.clone());
                match tokio::task::spawn_blocking(move || read_file(&path, &directory)).await {
                    Ok(read) => read,
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                }
            }
            // It may be a secret that stands there.
            None => Err(CallError::SecretInvalid(
                "write env:NAME or file:/path, not the secret itself".to_owned(),
            )),
        }
    }
}

/// Where a secret is, for the text of an error.
pub(crate) fn place_of(secret: &Secret) -> String {
    match secret.place() {
        Some(SecretPlace::Env(name)) => format!("env:{name}"),
        Some(SecretPlace::File(path)) => format!("file:{path}"),
        None => "a secret of the definition".to_owned(),
    }
}

fn read_variable(name: &str) -> Result<SecretText, CallError> {
    if !name.starts_with(Secret::VARIABLE_PREFIX) {
        return Err(CallError::SecretInvalid(format!(
            "the name of the variable {name} does not begin with {}, and others are given to no source",
            Secret::VARIABLE_PREFIX,
        )));
    }
    match env::var(name) {
        Ok(text) if text.trim().is_empty() => {
            Err(CallError::SecretMissing(format!("the variable {name} is empty")))
        }
        Ok(text) => Ok(SecretText(text.trim().to_owned())),
        Err(env::VarError::NotPresent) => {
            Err(CallError::SecretMissing(format!("set the variable {name} for this process")))
        }
        Err(env::VarError::NotUnicode(_)) => {
            Err(CallError::SecretInvalid(format!("the variable {name} is no UTF-8")))
        }
    }
}

/// Where a path leads, if that is in this directory.
fn inside(path: &str, directory: &Path) -> Result<PathBuf, CallError> {
    // Links are followed first: where they lead counts.
    let place = Path::new(path).canonicalize().ok();
    let home = directory.canonicalize().ok();
    let place = place.zip(home).filter(|(place, home)| place.starts_with(home));
    place.map(|(place, _)| place).ok_or_else(|| {
        CallError::SecretMissing(format!("there is no file {path} in {}", directory.display()))
    })
}

fn read_file(path: &str, directory: &Path) -> Result<SecretText, CallError> {
    inside(path, directory)?;
    let bytes = beginning(path)
        .map_err(|error| CallError::SecretMissing(format!("the file {path} cannot be read: {error}")))?;
    let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first_line.len() as u64 > SECRET_BYTES_MAX {
        return Err(CallError::SecretInvalid(format!(
            "the first line of {path} has more than {SECRET_BYTES_MAX} bytes"
        )));
    }
    let text = std::str::from_utf8(first_line)
        .map_err(|_| CallError::SecretInvalid(format!("the first line of {path} is no UTF-8")))?
        .trim();
    if text.is_empty() {
        return Err(CallError::SecretMissing(format!("the first line of {path} is empty")));
    }
    Ok(SecretText(text.to_owned()))
}

fn beginning(path: &str) -> io::Result<Vec<u8>> {
    // A pipe would be waited for.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets::new(env::temp_dir())
    }

    async fn code_and_text(reference: &str) -> (String, String) {
        let error = secrets().read(&Secret::new(reference)).await.unwrap_err();
        (error.code().unwrap(), error.to_string())
    }

    #[tokio::test]
    async fn secrets_are_read_anew_every_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let secret = Secret::new(format!("file:{}", file.path().display()));
        for text in ["one\n", " two \r\nthree\n", "four"] {
            std::fs::write(file.path(), text).unwrap();
            let expected = text.lines().next().unwrap().trim();
            assert_eq!(secrets().read(&secret).await.unwrap().reveal(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named() {
        let (code, text) = code_and_text("env:RESUME_SECRET_NOBODY_HAS").await;
        assert_eq!(code, "secret_missing");
        assert!(text.contains("RESUME_SECRET_NOBODY_HAS"), "{text}");
        let (code, text) = code_and_text("file:/no/such/file").await;
        assert_eq!(code, "secret_missing");
        assert!(text.contains("/no/such/file"), "{text}");
        assert_eq!(code_and_text("file:/dev/zero").await.0, "secret_missing");
        assert_eq!(code_and_text("file:/tmp").await.0, "secret_missing");
    }

    /// Whoever adds a source could have them sent to himself.
    #[tokio::test]
    async fn what_is_not_meant_for_sources_stays_here() {
        for name in ["CARGO_PKG_NAME", "PATH", "DATABASE_URL", "resume_secret_x"] {
            let (code, text) = code_and_text(&format!("env:{name}")).await;
            assert_eq!(code, "secret_invalid");
            assert!(text.contains("RESUME_SECRET_"), "{text}");
        }
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(outside.path(), "private key").unwrap();
        let link = inside.path().join("link");
        std::os::unix::fs::symlink(outside.path(), &link).unwrap();
        let secrets = Secrets::new(inside.path().to_owned());
        let up = format!("{}/../{}", inside.path().display(), outside.path().file_name().unwrap().display());
        for path in
            [outside.path().display().to_string(), link.display().to_string(), up, "/etc/passwd".to_owned()]
        {
            let error = secrets.read(&Secret::new(format!("file:{path}"))).await.unwrap_err();
            assert_eq!(error.code().as_deref(), Some("secret_missing"), "{path}");
        }
    }

    #[tokio::test]
    async fn a_secret_in_the_wrong_place_is_not_shown() {
        let (code, text) = code_and_text("hunter2").await;
        assert_eq!(code, "secret_invalid");
        assert!(!text.contains("hunter2"), "{text}");
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, expected) in [
            (b"".as_slice(), "secret_missing"),
            (b"\nhunter2", "secret_missing"),
            (b"hunter2\xff", "secret_invalid"),
            (&[b'h'; 10_000], "secret_invalid"),
        ] {
            std::fs::write(file.path(), content).unwrap();
            let (code, text) = code_and_text(&format!("file:{}", file.path().display())).await;
            assert_eq!(code, expected);
            assert!(!text.contains("hunter2") && !text.contains("hhh"), "{text}");
        }
        assert_eq!(format!("{:?}", SecretText("hunter2".to_owned())), "SecretText(..)");
    }
}
