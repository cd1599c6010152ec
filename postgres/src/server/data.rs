//! Makes the data directory, and writes the settings that are ours.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};

use super::{Durability, Server};
use crate::command;

/// What the name of a data directory starts with until it is whole.
const UNFINISHED: &str = "initdb-";

impl Server {
    /// Makes the data directory if it is missing.
    ///
    /// It is made beside its place and renamed into it when complete, so one that is in its place is whole,
    /// and what a killed process left half done is known by its name.
    pub(super) fn make_data(&self) -> Result<()> {
        if self.data.exists() {
            return self.check_data();
        }
        self.remove_unfinished();
        // A name of its own: an `initdb` whose starter was killed may still be writing.
        let unfinished = self.directory.join(format!("{UNFINISHED}{}", std::process::id()));
        let mut arguments: Vec<&dyn AsRef<OsStr>> =
            vec![&"-D", &unfinished, &"-U", &"postgres", &"-A", &"trust"];
        arguments.extend([&"-E" as &dyn AsRef<OsStr>, &"UTF8", &"--locale=C", &"--data-checksums"]);
        if self.durability == Durability::Throwaway {
            arguments.push(&"--no-sync");
        }
        command::run(&self.programs.initdb(), self.owner, &arguments, &self.output("initdb"))
            .with_context(|| format!("cannot make a database in {}", self.data.display()))?;
        let mut settings = OpenOptions::new().append(true).open(unfinished.join("postgresql.conf"))?;
        settings.write_all(
            b"\n# Written at every start. What follows this line overrides it.\ninclude = 'resume.conf'\n",
        )?;
        settings.sync_all()?;
        fs::rename(&unfinished, &self.data)?;
        if self.durability == Durability::Durable {
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(())
    }

    fn check_data(&self) -> Result<()> {
        let data = self.data.display();
        let version = fs::read_to_string(self.data.join("PG_VERSION")).with_context(|| {
            format!("{data} is not a data directory of PostgreSQL; move it away, and a new one will be made")
        })?;
        let (made, major) = (version.trim(), self.programs.major());
        ensure!(
            made == major.to_string(),
            "{data} was made by PostgreSQL {made}, and the programs in {} are version {major}; \
             move it away, or to pg{made}/data if you have its programs",
            self.programs.bin_dir().display()
        );
        Ok(())
    }

    fn remove_unfinished(&self) {
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                // An orphaned initdb may add files while we remove them: the next start tries again.
                if let Err(error) = fs::remove_dir_all(entry.path()) {
                    tracing::debug!("cannot remove {}: {error}", entry.path().display());
                }
            }
        }
    }

    /// Writes what is ours among the settings, and makes the socket directory.
    pub(super) fn write_settings(&self) -> Result<()> {
        fs::create_dir_all(&self.socket_dir)?;
        fs::set_permissions(&self.socket_dir, Permissions::from_mode(0o700))?;
        self.owner.take(&self.socket_dir)?;
        let path = self.data.join("resume.conf");
        let text = settings(&self.socket_dir, self.durability);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        self.owner.take(&path)
    }
}

/// The text of `resume.conf`.
///
/// Memory and log size stay Postgres's own (128 MB of `shared_buffers`, touched as needed; 1 GB of
/// `max_wal_size`): loading 20,000 resumes in 7 s does not come near them.
fn settings(socket_dir: &Path, durability: Durability) -> String {
    let (connections, crash_safety) = match durability {
        // Several processes with pools of 10 to 20 each; a connection that is not used costs next to nothing.
        Durability::Durable => (200, ""),
        // Test processes side by side, each of them with several pools.
        Durability::Throwaway => (400, "fsync = off\nfull_page_writes = off\n"),
    };
    format!(
        "# Written by resume-service at every start: put changes after the include line of postgresql.conf.\n\
         listen_addresses = ''\n\
         unix_socket_directories = '{}'\n\
         port = 5432\n\
         max_connections = {connections}\n\
         timezone = 'UTC'\n\
         log_timezone = 'UTC'\n\
         log_checkpoints = off\n\
         {crash_safety}",
        socket_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_throwaway_clusters_go_without_crash_safety() {
        let durable = settings(Path::new("/s"), Durability::Durable);
        assert!(durable.contains("unix_socket_directories = '/s'\n"), "{durable}");
        let throwaway = settings(Path::new("/s"), Durability::Throwaway);
        for name in ["fsync", "full_page_writes"] {
            assert!(!durable.contains(name), "{durable}");
            assert!(throwaway.contains(&format!("\n{name} = off\n")), "{throwaway}");
        }
    }
}
