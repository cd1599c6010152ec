//! Where the data lies, and whether a path can serve.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use nix::unistd::Uid;

use crate::owner::Owner;

/// The name of the socket file in its directory: Postgres names it after the port.
pub(crate) const SOCKET_FILE: &str = ".s.PGSQL.5432";

/// The longest path of a Unix socket in bytes: the size of `sun_path` (unix(7)) without the closing zero.
const SOCKET_PATH_BYTES_MAX: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Names the directory for the cluster of this user: `RESUME_DATA_DIR` if it is set, or the platform's place
/// for state.
///
/// That place is `/var/lib/resume-service` for root (the server itself runs as another user, who must be able
/// to walk there), `~/Library/Application Support/resume-service` on macOS, and
/// `$XDG_STATE_HOME/resume-service` or `~/.local/state/resume-service` elsewhere. The directory need not
/// exist.
///
/// # Errors
/// When none of these variables tells a place, `HOME` included.
pub fn default_root() -> Result<PathBuf> {
    default_root_for(Uid::effective().is_root(), |name| env::var_os(name))
}

fn default_root_for(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    // An empty variable counts as not set, as in the XDG Base Directory Specification.
    let directory = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(chosen) = directory("RESUME_DATA_DIR") {
        return Ok(chosen);
    }
    if is_root {
        return Ok("/var/lib/resume-service".into());
    }
    let home = directory("HOME");
    let state = if cfg!(target_os = "macos") {
        home.map(|home| home.join("Library/Application Support"))
    } else {
        // The specification says to ignore a relative path.
        let state = directory("XDG_STATE_HOME").filter(|path| path.is_absolute());
        state.or_else(|| home.map(|home| home.join(".local/state")))
    };
    let state = state.context("no place for the database: set RESUME_DATA_DIR to a directory, or HOME")?;
    Ok(state.join("resume-service"))
}

/// Checks that a server can be run in `directory`: the length of its socket's path, and the characters in it.
///
/// # Errors
/// Names the path and the limit.
pub(crate) fn check_path(directory: &Path, socket_dir: &Path) -> Result<()> {
    let socket = socket_dir.join(SOCKET_FILE);
    let length = socket.as_os_str().len();
    ensure!(
        length <= SOCKET_PATH_BYTES_MAX,
        "the path of the database's socket is too long: {} has {length} bytes, and the system allows \
         {SOCKET_PATH_BYTES_MAX}; set RESUME_DATA_DIR (for tests TMPDIR) to a directory with a shorter path",
        socket.display()
    );
    // pg_ctl hands its paths to a shell in double quotes, and the server splits its list of socket
    // directories at commas.
    let unusable = |text: &str| text.contains(['"', '\'', '$', '`', '\\', ',', '\n']);
    if directory.to_str().is_none_or(unusable) {
        bail!(
            "PostgreSQL cannot be run in {}: the path must be UTF-8 without quotes, $, backslash, comma and \
             line feed; set RESUME_DATA_DIR to another directory",
            directory.display()
        );
    }
    Ok(())
}

/// Makes `directory` if it is missing, with exactly the permissions `mode`, whatever the umask says. Parents
/// are made too.
pub(crate) fn make_directory(directory: &Path, mode: u32) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(directory)
        .and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(mode)))
        .with_context(|| {
            let directory = directory.display();
            format!("cannot make the directory {directory}; RESUME_DATA_DIR chooses another place")
        })
}

/// Finds the first directory on the way to `path` that `owner` must not walk through, by the permission bits
/// alone.
pub(crate) fn first_barrier(path: &Path, owner: Owner) -> Option<PathBuf> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    let blocked = |directory: &Path| {
        let Ok(metadata) = fs::metadata(directory) else { return false };
        let searchable = if metadata.uid() == owner.uid {
            0o100
        } else if metadata.gid() == owner.gid {
            0o010
        } else {
            0o001
        };
        metadata.is_dir() && metadata.mode() & searchable == 0
    };
    way.into_iter().find(|directory| blocked(directory)).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root_with(is_root: bool, variables: &[(&str, &str)]) -> Result<PathBuf> {
        default_root_for(is_root, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn the_root_is_the_chosen_directory_or_the_place_of_the_platform() {
        let home = ("HOME", "/home/a");
        assert_eq!(root_with(false, &[("RESUME_DATA_DIR", "/d"), home]).unwrap(), Path::new("/d"));
        assert_eq!(root_with(true, &[("RESUME_DATA_DIR", "/d")]).unwrap(), Path::new("/d"));
        assert_eq!(root_with(true, &[home]).unwrap(), Path::new("/var/lib/resume-service"));
        let error = root_with(false, &[("HOME", "")]).unwrap_err();
        assert!(error.to_string().contains("RESUME_DATA_DIR"), "{error}");
    }

    #[test]
    #[cfg(not(target_os = "macos"))]
    fn an_ordinary_user_has_the_data_in_the_state_directory() {
        let home = ("HOME", "/home/a");
        let state = |path| ("XDG_STATE_HOME", path);
        assert_eq!(root_with(false, &[home]).unwrap(), Path::new("/home/a/.local/state/resume-service"));
        assert_eq!(root_with(false, &[home, state("/s")]).unwrap(), Path::new("/s/resume-service"));
        assert_eq!(
            root_with(false, &[home, state("s")]).unwrap(),
            Path::new("/home/a/.local/state/resume-service")
        );
    }

    #[test]
    fn a_socket_path_over_the_limit_is_refused_with_the_path_and_the_limit() {
        let fitting = SOCKET_PATH_BYTES_MAX - SOCKET_FILE.len() - 1;
        let directory = PathBuf::from(format!("/{}", "d".repeat(fitting - 1)));
        check_path(&directory, &directory).unwrap();

        let directory = PathBuf::from(format!("/{}", "d".repeat(fitting)));
        let error = check_path(&directory, &directory).unwrap_err().to_string();
        assert!(error.contains(&*directory.to_string_lossy()), "{error}");
        assert!(error.contains(&SOCKET_PATH_BYTES_MAX.to_string()), "{error}");
        assert!(error.contains("RESUME_DATA_DIR"), "{error}");
    }

    #[test]
    fn characters_that_a_shell_or_the_server_would_read_otherwise_are_refused() {
        check_path(Path::new("/Library/Application Support"), Path::new("/s")).unwrap();
        for path in ["/a\"b", "/a'b", "/a$b", "/a`b", "/a\\b", "/a,b"] {
            check_path(Path::new(path), Path::new("/s")).unwrap_err();
        }
    }

    #[test]
    fn a_barrier_is_the_first_directory_that_the_owner_cannot_walk_through() {
        let stranger = Owner { uid: 4_000_001, gid: 4_000_001, switch: true };
        let base = env::temp_dir().join(format!("resume-barrier-{}", std::process::id()));
        let closed = base.join("closed");
        let below = closed.join("below");
        make_directory(&below, 0o755).unwrap();
        fs::set_permissions(&base, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(first_barrier(&below, stranger), Some(closed.clone()));
        let me = Owner { uid: Uid::effective().as_raw(), ..stranger };
        assert_eq!(first_barrier(&below, me), None);
        fs::remove_dir_all(base).unwrap();
    }
}
