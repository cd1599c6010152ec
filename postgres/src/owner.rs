//! The user the server runs as, which is never root: Postgres refuses that.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use nix::unistd::{Uid, User, getegid};

/// The user that owns the files of a cluster and runs its programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether this process is root and must hand over: files with `chown`, programs with `setuid`.
    pub(crate) switch: bool,
}

impl Owner {
    /// Chooses the owner for a cluster with the data directory `data`, which need not exist.
    ///
    /// Who is not root owns it. For root it is the user who owns it already (a `postgres` user may have come
    /// into being since), else `postgres`, else `nobody`.
    ///
    /// # Errors
    /// When this process is root and the machine has neither user.
    pub(crate) fn of(data: &Path) -> Result<Self> {
        let me = Uid::effective();
        if !me.is_root() {
            return Ok(Self { uid: me.as_raw(), gid: getegid().as_raw(), switch: false });
        }
        match fs::metadata(data) {
            Ok(metadata) if metadata.uid() != 0 => {
                Ok(Self { uid: metadata.uid(), gid: metadata.gid(), switch: true })
            }
            _ => Self::for_root(User::from_name),
        }
    }

    fn for_root(find: impl Fn(&str) -> nix::Result<Option<User>>) -> Result<Self> {
        for name in ["postgres", "nobody"] {
            let user = find(name).with_context(|| format!("cannot look up the user {name}"))?;
            if let Some(user) = user {
                return Ok(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw(), switch: true });
            }
        }
        bail!(
            "PostgreSQL cannot run as root, and this machine has neither a user `postgres` nor a user \
             `nobody` to run it; add one (useradd --system postgres), start this program as an ordinary \
             user, or set DATABASE_URL"
        );
    }

    /// Makes `command` run as this user; the standard library then drops root's supplementary groups too.
    pub(crate) fn run_as(self, command: &mut Command) {
        if self.switch {
            command.gid(self.gid).uid(self.uid);
        }
    }

    /// Gives `path` to this user.
    pub(crate) fn take(self, path: &Path) -> Result<()> {
        if self.switch {
            chown(path, Some(self.uid), Some(self.gid))
                .with_context(|| format!("cannot give {} to {self}", path.display()))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => write!(f, "user {}", user.name),
            _ => write!(f, "user {}", self.uid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_without_a_fitting_user_is_told_what_to_do() {
        let error = Owner::for_root(|_| Ok(None)).unwrap_err().to_string();
        assert!(error.contains("postgres") && error.contains("nobody"), "{error}");
        assert!(error.contains("useradd"), "{error}");
    }

    #[test]
    fn nobody_stands_in_where_there_is_no_postgres_user() {
        let stand_in = User::from_uid(Uid::effective()).unwrap().unwrap();
        let owner = Owner::for_root(|name| Ok((name == "nobody").then(|| stand_in.clone()))).unwrap();
        assert_eq!(owner.uid, stand_in.uid.as_raw());
        assert!(owner.switch);
    }
}
