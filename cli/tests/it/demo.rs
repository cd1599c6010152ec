//! `demo` and its private Postgres, as the README has it.

use std::{
    path::Path,
    process::{Output, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::scene::{data_dir, service};

fn command(data: &Path, arguments: &[&str]) -> Command {
    let mut command = service();
    command.arg("demo").args(["--bind", "127.0.0.1:0"]).args(arguments).env("RESUME_DATA_DIR", data);
    command
}

async fn demo(data: &Path, arguments: &[&str]) -> Output {
    command(data, arguments).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_collects_and_finds_on_a_private_postgres() {
    let data = data_dir();
    let output = demo(data.path(), &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}\n{errors}");
    assert_eq!(errors, "", "nothing is wrong, so nothing is logged");
    assert!(text.contains("100 % completed: pages 20/20 (0 failed), documents 200 stored"), "{text}");
    assert!(text.contains("resumes 200 (0 failed), 20 calls"), "{text}");
    assert!(text.contains("refused 0"), "{text}");
    assert!(text.contains("[React"), "the any-search finds React: {text}");
    assert!(!text.lines().any(|line| line == "0 found"), "both searches find somebody: {text}");

    // The second time the cluster and the database are there already.
    let again = demo(data.path(), &["--parse-delay", "300ms"]).await;
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));

    let sql = "select count(*) from resumes";
    let psql = service()
        .args(["psql", "--database", "resume_demo", "--", "-Atc", sql])
        .env("RESUME_DATA_DIR", data.path())
        .output()
        .await
        .unwrap();
    assert_eq!(String::from_utf8(psql.stdout).unwrap().trim(), "400", "each demo collects new people");

    // `demo | head -1`: it comes to its end, stops the server, and complains to nobody.
    let mut child = command(data.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().unwrap().starts_with("1. Starting"));
    drop(lines);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success(), "{}", output.status);
}
