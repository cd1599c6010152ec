//! Processes that are killed, and what they leave behind.

use std::{
    fs,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::Path,
    process::{Child, Command},
    thread,
};

use resume_postgres::{Cluster, Durability, RestartMode};

use crate::{
    other_process::Start,
    scratch::{Scratch, kill_hard, query, runs, wait_until, wait_until_gone},
};

#[tokio::test]
async fn the_server_outlives_a_killed_starter_for_the_others() {
    let scratch = Scratch::new();
    let mut starter = Start::cluster(&scratch.root()).spawn();
    let url = starter.url();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let pid = cluster.postmaster_pid().unwrap();
    starter.kill();
    assert!(!cluster.ensure_running().unwrap());
    assert_eq!(query(&url, "SELECT 'here'").await, "here");
    drop(cluster);
    wait_until_gone(pid);
}

#[test]
fn the_next_process_joins_the_server_of_a_killed_one_and_stops_it() {
    let scratch = Scratch::new();
    let mut killed = Start::cluster(&scratch.root()).spawn();
    killed.url();
    killed.kill();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let pid = cluster.postmaster_pid().unwrap();
    assert!(runs(pid));
    drop(cluster);
    wait_until_gone(pid);
}

#[test]
fn a_starter_killed_during_initdb_is_followed_by_the_next() {
    let scratch = Scratch::new();
    scratch.programs();
    let real = resume_postgres::Programs::find().unwrap();
    let [began, go, done] = ["began", "go", "done"].map(|name| scratch.path().join(name));
    // Half the work, then a wait for leave to do the rest.
    let initdb = format!(
        "mkdir -p \"$2/base\"; echo 15 >\"$2/PG_VERSION\"; touch {}\n\
         while [ ! -e {} ]; do sleep 0.05; done\n\
         {} \"$@\"; touch {}",
        began.display(),
        go.display(),
        real.bin_dir().join("initdb").display(),
        done.display()
    );
    scratch.script("initdb", &initdb);
    // The script runs as the user of the server.
    fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let killed = Start::durable_cluster(&scratch.root()).variable("RESUME_PG_BIN", scratch.path()).spawn();
    wait_until("initdb has begun", || began.exists());
    killed.kill();

    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    // The orphan goes on beside the server that runs.
    fs::write(go, "").unwrap();
    wait_until("the orphan has ended", || done.exists());
    assert!(!cluster.ensure_running().unwrap());
}

#[test]
fn what_a_cut_short_initdb_left_is_cleared_away() {
    let scratch = Scratch::new();
    let unfinished = scratch.server().join("initdb-1234");
    fs::create_dir_all(unfinished.join("base")).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    assert!(cluster.data_dir().join("base").exists());
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn a_killed_postmaster_is_started_again_by_one_of_its_users() {
    let scratch = Scratch::new();
    let clusters = [(); 3].map(|()| Cluster::start(&scratch.root(), Durability::Durable).unwrap());
    let url = clusters[0].url("postgres");
    query(&url, "CREATE TABLE kept AS SELECT 'kept' AS t; SELECT ''").await;
    let pid = clusters[0].postmaster_pid().unwrap();
    kill_hard(pid);
    let started = thread::scope(|scope| {
        let calls = clusters.each_ref().map(|cluster| scope.spawn(|| cluster.ensure_running().unwrap()));
        calls.map(|call| call.join().unwrap())
    });
    assert_eq!(started.iter().filter(|started| **started).count(), 1, "{started:?}");
    assert_ne!(clusters[0].postmaster_pid().unwrap(), pid);
    assert_eq!(query(&url, "SELECT t FROM kept").await, "kept");
}

#[tokio::test]
async fn a_restart_as_in_a_crash_keeps_what_was_committed() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let url = cluster.url("postgres");
    for (mode, table) in [(RestartMode::Immediate, "a"), (RestartMode::Fast, "b")] {
        query(&url, &format!("CREATE TABLE {table} AS SELECT 'kept' AS t; SELECT ''")).await;
        let pid = cluster.postmaster_pid().unwrap();
        cluster.restart(mode).unwrap();
        assert_ne!(cluster.postmaster_pid().unwrap(), pid);
        assert_eq!(query(&url, &format!("SELECT t FROM {table}")).await, "kept");
    }
}

#[tokio::test]
async fn a_pid_file_that_names_another_process_is_no_obstacle() {
    let scratch = Scratch::new();
    let mut other =
        start_after_pid_file_names(&scratch, |owner| as_user(owner, "sleep").arg("600").spawn().unwrap());
    other.kill().unwrap();
    other.wait().unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_zombie_is_no_obstacle() {
    let scratch = Scratch::new();
    let mut zombie = start_after_pid_file_names(&scratch, |owner| {
        let child = as_user(owner, "true").spawn().unwrap();
        wait_until("it has ended, and is not reaped", || !runs(child.id()));
        child
    });
    zombie.wait().unwrap();
}

#[test]
fn a_throwaway_cluster_that_does_not_start_any_more_is_made_anew() {
    let scratch = Scratch::new();
    let root = scratch.root();
    let data = Cluster::start(&root, Durability::Throwaway).unwrap().data_dir().to_owned();
    fs::remove_file(data.join("global/pg_control")).unwrap();
    Cluster::start(&root, Durability::Durable).unwrap_err();
    Cluster::start(&root, Durability::Throwaway).unwrap();
}

/// Makes a cluster, has its pid file name the process that `spawn` makes for the owner, and starts the
/// cluster again.
fn start_after_pid_file_names(scratch: &Scratch, spawn: impl FnOnce(Owner) -> Child) -> Child {
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let pid_file = cluster.data_dir().join("postmaster.pid");
    let owner = owner(cluster.data_dir());
    let content = fs::read_to_string(&pid_file).unwrap();
    drop(cluster);
    let child = spawn(owner);
    let rest = content.split_once('\n').unwrap().1;
    fs::write(&pid_file, format!("{}\n{rest}", child.id())).unwrap();
    std::os::unix::fs::chown(&pid_file, Some(owner.0), Some(owner.1)).unwrap();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    assert_ne!(cluster.postmaster_pid(), Some(child.id()));
    child
}

type Owner = (u32, u32);

fn owner(path: &Path) -> Owner {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

fn as_user((uid, gid): Owner, program: &str) -> Command {
    let mut command = Command::new(program);
    if nix::unistd::Uid::effective().is_root() {
        command.uid(uid).gid(gid);
    }
    command
}
