//! Other processes: this test program again, as one that uses a cluster.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use resume_postgres::{Cluster, Durability, Programs, testing::TestDatabase};

use crate::{databases::MIGRATOR, scratch::Scratch};

/// Says what the other process is to do, and makes the test below do it.
const ROLE: &str = "RESUME_TEST_ROLE";
/// Where its cluster lies.
const ROOT: &str = "RESUME_TEST_ROOT";
/// Set for a cluster that is [`Durability::Durable`].
const DURABLE: &str = "RESUME_TEST_DURABLE";

/// Not a test: what the other process does. Says `@<url>` or `!<error>`, goes on until its input ends, and
/// leaves in order.
#[test]
#[ignore = "runs in the processes that other tests start"]
fn act() {
    let Ok(role) = env::var(ROLE) else { return };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match role.as_str() {
        "cluster" => {
            let root = env::var_os(ROOT).unwrap();
            let is_durable = env::var_os(DURABLE).is_some();
            let durability = if is_durable { Durability::Durable } else { Durability::Throwaway };
            stay(Cluster::start(Path::new(&root), durability), |cluster| cluster.url("postgres"));
        }
        "database" => {
            let database = runtime.block_on(TestDatabase::new(&[&MIGRATOR]));
            stay(database, |database| database.url().to_owned());
        }
        "own cluster" => {
            let database = runtime.block_on(TestDatabase::on_own_cluster(&[&MIGRATOR]));
            stay(database, |database| database.cluster().data_dir().display().to_string());
        }
        other => panic!("no such role: {other}"),
    }
}

/// Tells the other process what came of it, and keeps it until the input ends.
#[expect(clippy::print_stdout, reason = "the other process reads it")]
fn stay<T>(outcome: anyhow::Result<T>, describe: impl Fn(&T) -> String) {
    match &outcome {
        Ok(value) => println!("\n@{}", describe(value)),
        Err(error) => println!("\n!{}", format!("{error:#}").replace('\n', "|")),
    }
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A process that uses a cluster until this value is dropped.
pub(crate) struct OtherProcess {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// How to start another process.
pub(crate) struct Start(Command);

impl Start {
    /// One that uses the cluster below `root`, a throwaway one to save time.
    pub(crate) fn cluster(root: &Path) -> Self {
        Self::role("cluster").variable(ROOT, root)
    }

    /// One that uses the durable cluster below `root`.
    pub(crate) fn durable_cluster(root: &Path) -> Self {
        Self::cluster(root).variable(DURABLE, "yes")
    }

    /// One that uses a test database.
    pub(crate) fn database() -> Self {
        Self::role("database")
    }

    /// One that uses a test database on its own cluster. Tells the data directory in place of a URL.
    pub(crate) fn own_cluster() -> Self {
        Self::role("own cluster")
    }

    fn role(role: &str) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "other_process::act", "--ignored", "--nocapture"]).env(ROLE, role);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        Self(command)
    }

    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// As another user, who need not be able to reach this program: a copy of it is made in `scratch`.
    pub(crate) fn user(self, scratch: &Scratch, uid: u32, gid: u32) -> Self {
        let copy = scratch.path().join("helper");
        if !copy.exists() {
            fs::copy(env::current_exe().unwrap(), &copy).unwrap();
        }
        let mut command = Command::new(copy);
        command.args(self.0.get_args()).uid(uid).gid(gid);
        for (name, value) in self.0.get_envs() {
            command.env(name, value.unwrap());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).current_dir("/");
        // Programs that were fetched lie in a cache of each user's own.
        Self(command).variable("RESUME_PG_BIN", Programs::find().unwrap().bin_dir())
    }

    pub(crate) fn spawn(mut self) -> OtherProcess {
        let mut child = self.0.spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        OtherProcess { child, input, output }
    }
}

impl OtherProcess {
    /// Waits until it is up, and returns the URL it got.
    pub(crate) fn url(&mut self) -> String {
        self.outcome().unwrap()
    }

    /// Waits until it has failed, and returns why.
    pub(crate) fn error(&mut self) -> String {
        self.outcome().unwrap_err()
    }

    fn outcome(&mut self) -> Result<String, String> {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(url) = line.strip_prefix('@') {
                return Ok(url.trim().to_owned());
            }
            if let Some(error) = line.strip_prefix('!') {
                return Err(error.trim().replace('|', "\n"));
            }
            line.clear();
        }
        panic!("the other process said nothing");
    }

    /// Kills it in the way that it cannot notice.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Has it leave in order, and waits until all that shared its output is gone.
    pub(crate) fn leave(mut self) {
        self.input = None;
        self.output.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for OtherProcess {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
