//! What is said when it does not work: the path, the limit, and what to do.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use nix::unistd::Uid;
use resume_postgres::{Cluster, Durability, Programs};

use crate::{other_process::Start, scratch::Scratch};

/// The error of a process that starts a cluster with the programs in the scratch directory.
fn error_with_its_programs(scratch: &Scratch) -> String {
    Start::cluster(&scratch.root()).variable("RESUME_PG_BIN", scratch.path()).spawn().error()
}

#[track_caller]
fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "{part:?} is not in: {error}");
    }
}

fn start_error(root: &std::path::Path) -> String {
    format!("{:#}", Cluster::start(root, Durability::Durable).unwrap_err())
}

#[test]
fn a_wrong_choice_of_programs_is_final_and_the_missing_one_named() {
    let scratch = Scratch::new();
    scratch.programs();
    let missing = scratch.path().join("pg_ctl");
    fs::remove_file(&missing).unwrap();
    let error = error_with_its_programs(&scratch);
    assert_says(&error, &["RESUME_PG_BIN=", &format!("{} is missing", missing.display())]);
}

#[test]
fn programs_that_are_too_old_are_named_with_their_version() {
    let scratch = Scratch::new();
    scratch.programs();
    scratch.script("postgres", "echo 'postgres (PostgreSQL) 11.22'");
    let error = error_with_its_programs(&scratch);
    assert_says(&error, &[&scratch.path().display().to_string(), "11.22", "14 or later"]);
}

#[test]
fn the_output_of_a_failing_initdb_is_shown_and_nothing_of_it_left_in_place() {
    let scratch = Scratch::new();
    scratch.programs();
    scratch.script("initdb", "echo 'initdb: error: No space left on device' >&2; exit 1");
    let error = error_with_its_programs(&scratch);
    assert_says(&error, &["No space left on device", &scratch.server().join("data").display().to_string()]);
    assert!(!scratch.server().join("data").exists());
}

#[test]
fn the_end_of_the_log_is_shown_when_the_server_does_not_start() {
    let scratch = Scratch::new();
    let data = Cluster::start(&scratch.root(), Durability::Durable).unwrap().data_dir().to_owned();
    let settings = data.join("postgresql.conf");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("{text}\nno_such_setting = 1\n")).unwrap();
    let error = start_error(&scratch.root());
    assert_says(&error, &["no_such_setting", &scratch.server().join("server.log").display().to_string()]);
}

#[test]
fn data_of_a_version_that_is_not_here_are_not_passed_over() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.root().join("pg99/data")).unwrap();
    let error = start_error(&scratch.root());
    let found = Programs::find().unwrap();
    assert_says(&error, &["PostgreSQL 99", "pg99", "RESUME_PG_BIN", "RESUME_DATA_DIR", found.version()]);
    // Nobody misses what was thrown away.
    Cluster::start(&scratch.root(), Durability::Throwaway).unwrap();
}

#[test]
fn a_directory_that_is_no_data_directory_is_left_alone() {
    let scratch = Scratch::new();
    let file = scratch.server().join("data/something");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "precious").unwrap();
    let error = start_error(&scratch.root());
    assert_says(&error, &["not a data directory", "move it away"]);
    assert!(file.exists());

    fs::write(scratch.server().join("data/PG_VERSION"), "9.6\n").unwrap();
    let error = start_error(&scratch.root());
    assert_says(&error, &["made by PostgreSQL 9.6", &scratch.server().join("data").display().to_string()]);
}

#[test]
fn a_socket_path_that_is_too_long_is_shown_with_the_limit() {
    let scratch = Scratch::new();
    let root = scratch.root().join("long".repeat(25));
    let error = start_error(&root);
    let limit = if cfg!(target_os = "linux") { "107" } else { "103" };
    assert_says(&error, &[&root.display().to_string(), limit, "RESUME_DATA_DIR"]);
}

#[test]
fn a_directory_in_the_way_of_the_servers_user_is_named() {
    if !Uid::effective().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let error = start_error(&closed.join("root"));
    assert_says(&error, &[&format!("{} is closed", closed.display()), "chmod o+x", "RESUME_DATA_DIR"]);

    // The same for the programs.
    scratch.programs();
    let bin: PathBuf = closed.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["initdb", "pg_ctl", "postgres"] {
        fs::copy(scratch.path().join(name), bin.join(name)).unwrap();
    }
    let error = Start::cluster(&scratch.root()).variable("RESUME_PG_BIN", &bin).spawn().error();
    assert_says(&error, &[&format!("{} is closed", closed.display()), "RESUME_PG_BIN"]);
}

#[test]
fn a_directory_that_belongs_to_another_user_is_named() {
    if !Uid::effective().is_root() {
        return;
    }
    let scratch = Scratch::new();
    let cluster = Cluster::start(&scratch.root(), Durability::Durable).unwrap();
    let mut other = Start::cluster(&scratch.root()).user(&scratch, 4_000_001, 4_000_001).spawn();
    let error = other.error();
    assert_says(&error, &[&scratch.server().display().to_string(), "another user", "RESUME_DATA_DIR"]);
    drop(cluster);
}
