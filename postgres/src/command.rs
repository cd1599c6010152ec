//! Runs one of the programs and shows what it said when it fails.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::ErrorKind,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{owner::Owner, root::first_barrier};

/// Prepares `program` to run as `owner` with an environment of our own, so that no `PG*` variable and no
/// locale of the caller changes what it does.
///
/// It gets a process group of its own: a Ctrl-C in the terminal is for this program, which then stops the
/// server in order.
pub(crate) fn prepare(program: &Path, owner: Owner) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C");
    command.stdin(Stdio::null()).process_group(0);
    owner.run_as(&mut command);
    command
}

/// Runs `program` to its end, its output going to the file `output`. Blocking.
///
/// The output goes to a file and not to a pipe, because a server started by `pg_ctl` inherits it: whoever
/// reads such a pipe to its end waits until the server stops.
///
/// # Errors
/// When the program cannot be run, or fails: then with its output.
pub(crate) fn run(
    program: &Path,
    owner: Owner,
    arguments: &[&dyn AsRef<OsStr>],
    output: &Path,
) -> Result<()> {
    let file = File::create(output).with_context(|| format!("cannot write {}", output.display()))?;
    // The next one to write it may be that user.
    owner.take(output)?;
    let mut command = prepare(program, owner);
    command.args(arguments.iter().map(|argument| argument.as_ref())).stderr(file.try_clone()?).stdout(file);
    let status = command.status().with_context(|| cannot_run(program, owner))?;
    if !status.success() {
        let said = fs::read_to_string(output).unwrap_or_default();
        let name = program.file_name().unwrap_or_default().display();
        bail!("{name} failed ({status}) and said:\n{}", said.trim());
    }
    Ok(())
}

/// Checks that `owner` can run `program` and can walk to `directory`.
///
/// # Errors
/// Names the directory that is in the way.
pub(crate) fn check_reach(program: &Path, directory: &Path, owner: Owner) -> Result<()> {
    let attempt = |directory: &Path| {
        let mut command = prepare(program, owner);
        command.arg("--version").current_dir(directory).stdout(Stdio::null()).stderr(Stdio::null());
        command.status()
    };
    // The working directory is entered after the change of user, so this answers for the user who will run
    // the server.
    match attempt(Path::new("/")).and_then(|_| attempt(directory)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            for wanted in [program, directory] {
                if let Some(barrier) = first_barrier(wanted, owner) {
                    bail!(
                        "{owner}, who runs the database, cannot reach {}: {} is closed to others; \
                         open it (chmod o+x) or set {} to another place",
                        wanted.display(),
                        barrier.display(),
                        if wanted == program { "RESUME_PG_BIN" } else { "RESUME_DATA_DIR" }
                    );
                }
            }
            Err(error).with_context(|| cannot_run(program, owner))
        }
        Err(error) => Err(error).with_context(|| cannot_run(program, owner)),
    }
}

fn cannot_run(program: &Path, owner: Owner) -> String {
    format!("cannot run {} as {owner}", program.display())
}
