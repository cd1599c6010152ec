//! Several processes, and several users, with one cluster.

use std::{fs, os::unix::fs::MetadataExt};

use nix::unistd::{Uid, User};
use resume_postgres::{Cluster, Durability, RestartMode};

use crate::{
    other_process::{OtherProcess, Start},
    scratch::{Scratch, query, wait_until_gone},
};

#[tokio::test]
async fn three_first_starts_at_once_share_one_server_and_the_last_one_out_stops_it() {
    let scratch = Scratch::new();
    let mut others = [(); 3].map(|()| Start::durable_cluster(&scratch.root()).spawn());
    let urls = others.each_mut().map(|other| other.url());
    assert!(urls.iter().all(|url| *url == urls[0]), "{urls:?}");
    let pid = postmaster_pid(&scratch);

    for other in others {
        assert_eq!(query(&urls[0], "SELECT 'here'").await, "here");
        assert_eq!(postmaster_pid(&scratch), pid);
        other.leave();
    }
    wait_until_gone(pid);
}

#[tokio::test]
async fn one_process_can_use_it_twice() {
    let scratch = Scratch::new();
    let one = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let other = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    drop(one);
    assert_eq!(query(&other.url("postgres"), "SELECT 'here'").await, "here");
    let pid = other.postmaster_pid().unwrap();
    drop(other);
    wait_until_gone(pid);
}

#[tokio::test]
async fn what_was_written_is_there_the_next_time() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root(), Durability::Durable).unwrap();
    let url = cluster.url("postgres");
    query(&url, "CREATE TABLE kept AS SELECT 'kept' AS t; SELECT ''").await;
    drop(cluster);
    let _cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    assert_eq!(query(&url, "SELECT t FROM kept").await, "kept");
}

#[tokio::test]
async fn an_ordinary_user_runs_it_as_well_as_root() {
    if !Uid::effective().is_root() {
        // Then all other tests show it.
        return;
    }
    let scratch = Scratch::new();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let (uid, gid) = (nobody.uid.as_raw(), nobody.gid.as_raw());
    fs::create_dir(scratch.root()).unwrap();
    std::os::unix::fs::chown(scratch.root(), Some(uid), Some(gid)).unwrap();
    let mut others = [(); 2].map(|()| Start::cluster(&scratch.root()).user(&scratch, uid, gid).spawn());
    let urls = others.each_mut().map(|other| other.url());
    assert_eq!(fs::metadata(scratch.server().join("data")).unwrap().uid(), uid);
    assert_eq!(query(&urls[0], "SELECT 'here'").await, "here");

    // Root joins it, and the server still belongs to that user.
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    cluster.restart(RestartMode::Fast).unwrap();
    let pid = cluster.postmaster_pid().unwrap();
    assert_eq!(fs::metadata(format!("/proc/{pid}")).unwrap().uid(), uid);
    drop(cluster);
    others.into_iter().for_each(OtherProcess::leave);
    wait_until_gone(pid);
}

#[tokio::test]
async fn a_durable_cluster_is_crash_safe_and_closed_to_others() {
    let scratch = Scratch::new();
    // Nothing in the environment gets through to the programs.
    let start =
        Start::durable_cluster(&scratch.root()).variable("PGDATA", "/nonexistent").variable("PGPORT", "1");
    let mut other = start.variable("LC_ALL", "nowhere").variable("TZ", "Asia/Tokyo").spawn();
    let url = other.url();
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("server_encoding", "UTF8"),
        ("lc_messages", "C"),
        ("listen_addresses", ""),
        ("max_connections", "200"),
        ("log_timezone", "UTC"),
    ] {
        assert_eq!(query(&url, &format!("SHOW {setting}")).await, value, "{setting}");
    }
    let collation = "SELECT datcollate FROM pg_database WHERE datname = current_database()";
    assert_eq!(query(&url, collation).await, "C");
    for directory in ["", "data", "s"] {
        let mode = fs::metadata(scratch.server().join(directory)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700, "{directory}");
    }
}

#[tokio::test]
async fn a_throwaway_cluster_saves_the_waiting() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
    let url = cluster.url("postgres");
    for (setting, value) in [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "on"),
        ("max_connections", "400"),
    ] {
        assert_eq!(query(&url, &format!("SHOW {setting}")).await, value, "{setting}");
    }
}

#[tokio::test]
async fn a_path_with_a_space_will_do() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root().join("Application Support"), Durability::Throwaway).unwrap();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 'here'").await, "here");
    cluster.restart(RestartMode::Immediate).unwrap();
    assert_eq!(query(&cluster.url("postgres"), "SELECT 'here'").await, "here");
}

fn postmaster_pid(scratch: &Scratch) -> u32 {
    let file = fs::read_to_string(scratch.server().join("data/postmaster.pid")).unwrap();
    file.lines().next().unwrap().parse().unwrap()
}
