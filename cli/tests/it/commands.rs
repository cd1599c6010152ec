//! The smaller commands, against one running service.

use std::{process::Stdio, time::Instant};

use crate::{
    scene::{PATIENCE, service},
    up::Up,
};

#[tokio::test(flavor = "multi_thread")]
async fn collect_status_and_search_talk_to_a_running_service() {
    let up = Up::start().await;
    let (ok, text) =
        up.run(&["collect", "--count", "45", "--per-page", "10", "--seed", "7", "--error-mode"]).await;
    assert!(ok, "documents that fail are no failure of the command: {text}");
    assert!(text.contains("completed_with_errors: pages 5/5"), "{text}");
    assert!(text.contains("missing_id"), "what went wrong is listed: {text}");
    let id = text.lines().next().unwrap().strip_prefix("collection ").unwrap().to_owned();

    let (ok, text) = up.run(&["status", &id]).await;
    assert!(ok && text.contains(&id) && text.contains("100 % completed_with_errors"), "{text}");
    let (ok, text) = up.run(&["status"]).await;
    assert!(ok && text.contains(&id) && text.contains("test-data"), "{text}");

    let (ok, text) = up.run(&["search", "react", "--limit", "3"]).await;
    assert!(ok && text.contains(" found"), "{text}");
    let (ok, text) = up.run(&["search", "no such skill at all"]).await;
    assert!(ok && text.trim() == "0 found", "{text}");

    let (ok, text) = up
        .run(&["status", "--source", "test-data", "--state", "completed_with_errors", "--limit", "1"])
        .await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        ok && lines.len() == 2 && lines[0].starts_with("collection  ") && lines[1].contains(&id),
        "{text}"
    );
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    let (ok, text) = up.run(&["status", "--state", "cancelled"]).await;
    assert!(ok && text == "no collections\n", "{text}");

    // The same people again: known by their hash; those who failed are parsed again.
    let (ok, text) =
        up.run(&["collect", "--count", "45", "--per-page", "9", "--seed", "7", "--error-mode"]).await;
    assert!(ok && text.contains("documents 0 stored "), "{text}");

    let (ok, text) = up.run(&["collect", "--source", "json-resume", "--count", "20"]).await;
    assert!(ok && text.contains("100 % completed: pages 2/2"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_looked_at() {
    let up = Up::start().await;
    let arguments = ["collect", "--count", "45", "--per-page", "10", "--seed", "7", "--error-mode"];
    let id = up.ok(&arguments).await.lines().next().unwrap().strip_prefix("collection ").unwrap().to_owned();

    let text = up.ok(&["calls", &id]).await;
    assert!(text.starts_with("step  about  place  state  made  items"), "{text}");
    assert_eq!(text.lines().filter(|line| line.contains(" done ")).count(), 5, "{text}");
    assert_eq!(up.ok(&["calls", &id, "--state", "failed"]).await.lines().count(), 1);

    let text = up.ok(&["documents", &id, "--state", "failed", "--code", "missing_id"]).await;
    let failed = text.lines().nth(1).unwrap();
    assert!(failed.contains(" failed ") && failed.contains("missing_id"), "{text}");
    let document = failed.split_whitespace().next().unwrap();
    let raw = up.ok(&["raw", document]).await;
    assert!(raw.starts_with('{') && raw.contains("skills"), "{raw}");

    let text = up.ok(&["resumes", "--source", "test-data", "--limit", "3"]).await;
    assert_eq!(text.lines().count(), 4, "{text}");
    let other = up.ok(&["resumes", "--collection", &id, "--limit", "100"]).await;
    assert!(
        text.lines().skip(1).all(|line| other.contains(line.split_whitespace().nth(2).unwrap())),
        "{other}"
    );
    assert_eq!(up.ok(&["resumes", "--hidden"]).await.lines().count(), 1);

    for arguments in
        [["confirm-hiding", &id], ["raw", "1"], ["raw", "-1"], ["calls", ".."], ["documents", "7"]]
    {
        let (ok, text) = up.run(&arguments).await;
        assert!(!ok && text.starts_with("error: "), "{arguments:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_get_a_helpful_answer() {
    let up = Up::start().await;
    for (arguments, expected) in [
        (vec!["collect", "--count", "0"], "count"),
        (vec!["collect", "--source", "nowhere"], "there are: json-resume, test-data"),
        (vec!["status", "no-uuid"], "data_request_id"),
        (vec!["status", "00000000-0000-7000-8000-000000000000"], "Not found"),
        (vec!["continue", "00000000-0000-7000-8000-000000000000"], "Not found"),
        (vec!["search", "x", "--limit", "0"], "limit"),
    ] {
        let (ok, text) = up.run(&arguments).await;
        assert!(!ok && text.starts_with("error: ") && text.contains(expected), "{arguments:?}: {text}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_said_so() {
    let begun = Instant::now();
    let output = service().args(["status", "--url", "http://127.0.0.1:1"]).output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("resume-service up"), "{text}");
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_machine_without_postgres_is_told_what_to_do() {
    let output = service().arg("migrate").env("RESUME_PG_BIN", "/nonexistent").output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("/nonexistent"), "{text}");
}

#[tokio::test]
async fn openapi_prints_the_document() {
    let output = service().arg("openapi").output().await.unwrap();
    let committed = include_str!("../../../openapi.yaml");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), committed, "run `just openapi`");
}

#[tokio::test]
async fn output_that_nobody_reads_is_no_failure() {
    let mut child = service().arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The document is longer than what a pipe holds.
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert!(output.status.success(), "{}", output.status);
}
