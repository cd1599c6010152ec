//! `jobs`, `queues` and `workers`, against a running service.

use std::process::Stdio;

use mock_ats::{Ats, Face, Fault, FaultKind, MockServer, Pages, Settings, Times};
use resume_core::source::definition::Definition;
use tokio::process::Child;

use crate::{scene::PATIENCE, up::Up};

const PARSE: &str = "parse_documents";

/// Collects three batches in the background.
fn collect(up: &Up) -> Child {
    let mut command = up.command(&["collect", "--count", "30", "--per-page", "30", "--batch-size", "10"]);
    command.stdout(Stdio::null()).spawn().unwrap()
}

/// The ids in a list of jobs.
fn ids(text: &str) -> Vec<&str> {
    let firsts = text.lines().filter_map(|line| line.split_whitespace().next());
    firsts.filter(|first| first.parse::<i64>().is_ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_listed_explained_and_changed() {
    let up = Up::start().await;
    // So that everything waits where it is.
    for queue in [PARSE, "settle_discarded"] {
        let text = up.ok(&["queues", "pause", queue]).await;
        assert!(text.contains(queue) && text.contains("paused since"), "{text}");
    }
    let _collect = collect(&up);
    let list = ["jobs", "list", "--queue", PARSE, "--state", "available,running"];
    let text = up.until(&list, |text| ids(text).len() == 3).await;
    let id = ids(&text)[0];
    let text = up.ok(&["jobs", "show", id]).await;
    assert!(text.contains(&format!("job {id} of the queue {PARSE}, available")), "{text}");
    assert!(text.contains("attempts         0 of 6") && text.contains("\"batches\""), "{text}");
    let text = up.ok(&["jobs", "why", id]).await;
    assert!(text.starts_with("paused       the queue parse_documents is paused since"), "{text}");
    let text = up.ok(&["jobs", "list", "--queue", PARSE, "--limit", "2"]).await;
    assert!(ids(&text).len() == 2 && text.contains("there may be more"), "{text}");
    assert_eq!(up.ok(&["jobs", "list", "--error-code", "panic"]).await, "no job\n");

    assert_eq!(up.ok(&["jobs", "cancel", id]).await, format!("job {id} is cancelled\n"));
    let cancel = ["jobs", "cancel", "--queue", PARSE];
    assert_eq!(up.ok(&[&cancel[..], &["--dry-run"]].concat()).await, "2 jobs to cancel\n");
    let (ok, text) = up.run(&cancel).await;
    assert!(!ok && text.contains("cancel 2 jobs?") && text.contains("--yes"), "nobody can be asked: {text}");
    assert_eq!(ids(&up.ok(&list).await).len(), 2, "and nothing is changed");
    assert_eq!(up.ok(&[&cancel[..], &["--yes"]].concat()).await, "2 cancelled, or told to stop\n");
    assert_eq!(up.ok(&cancel).await, "0 jobs to cancel\n");

    let text = up.ok(&["jobs", "retry", "--state", "cancelled", "--kind", PARSE, "-y"]).await;
    assert_eq!(text, "3 retried\n");
    let text = up.ok(&["jobs", "discard", id]).await;
    assert_eq!(text, format!("job {id} is discarded\n"));
    let text = up.ok(&["jobs", "show", id]).await;
    assert!(text.contains("discarded_by_request"), "its errors are shown: {text}");
    let other = ids(&up.ok(&["jobs", "list", "--queue", PARSE, "--state", "available"]).await)[0].to_owned();
    let text = up.ok(&["jobs", "cancel", id, &other, "--dry-run"]).await;
    assert!(
        text.contains(&format!("job {id} is discarded and cannot be cancelled\n1 job to cancel\n")),
        "{text}"
    );
    let text = up.ok(&["jobs", "retry", id, &other, "--dry-run"]).await;
    assert!(
        text.contains(&format!("job {other} is available and cannot be retried\n1 job to retry\n")),
        "{text}"
    );
    let (ok, text) = up.run(&["jobs", "cancel", id, "999999"]).await;
    assert!(!ok && text.contains("is discarded and cannot be cancelled"), "{text}");
    assert!(text.contains("there is no job 999999") && text.contains("2 of 2 jobs"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_is_stopped() {
    let up = Up::start_with(&["--parse-delay", "1h", "--grace", "0s"]).await;
    let _collect = collect(&up);
    let list = ["jobs", "list", "--queue", PARSE, "--state", "running"];
    let text = up.until(&list, |text| ids(text).len() == 3).await;
    let id = ids(&text)[0];
    let workers = up.ok(&["workers"]).await;
    let line = workers.lines().find(|line| line.contains(PARSE)).unwrap();
    up.until(&["workers"], |text| text.contains("* leads: worker 1, ")).await;
    assert!(line.split_whitespace().any(|word| word == "3"), "three are running: {workers}");
    let text = up.ok(&["jobs", "cancel", id]).await;
    assert!(
        text == format!("job {id} is running, to be cancelled\n") || text.contains("is cancelled"),
        "{text}"
    );
    up.until(&["jobs", "show", id], |text| text.contains(", cancelled\n")).await;
    let text = up.ok(&["jobs", "discard", "--all", "--yes"]).await;
    assert!(text.contains("discarded, or told to stop"), "{text}");
    up.until(&list, |text| text == "no job\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_tell_what_they_hold() {
    let up = Up::start().await;
    up.ok(&["queues", "pause", PARSE]).await;
    let _collect = collect(&up);
    let text = up
        .until(&["queues", "list"], |text| {
            let line = text.lines().find(|line| line.starts_with(PARSE)).unwrap();
            // Available, running, scheduled, retryable, and for how long the next one has waited.
            line.contains("  3          0        0          0          ") && line.ends_with(" s")
        })
        .await;
    assert!(text.lines().next().unwrap().ends_with("oldest wait"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_paused_and_limited() {
    let up = Up::start().await;
    let line = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("make_call")).unwrap().to_owned();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let limits = |text: &str| line(text)[1..3].join(" ");
    up.until(&["queues", "list"], |text| line(text)[3..5] == ["1", "32"]).await;
    let limit = ["queues", "limit", "make_call"];
    let text = up.ok(&[&limit[..], &["--max-running", "5"]].concat()).await;
    assert_eq!(limits(&text), "5 none");
    let text = up.ok(&[&limit[..], &["--max-running-per-key", "2"]].concat()).await;
    assert_eq!(limits(&text), "5 2", "what is not named stays");
    let text =
        up.ok(&[&limit[..], &["--max-running", "none", "--max-running-per-key", "none"]].concat()).await;
    assert_eq!(limits(&text), "none none");

    up.ok(&["queues", "pause", "make_call"]).await;
    let text = up.ok(&["queues", "demand", "make_call", "--target", "10s"]).await;
    assert!(text.contains("workers           1") && text.contains("workers wanted    0"), "{text}");
    let text = up.ok(&["queues", "unpause", "make_call"]).await;
    assert_eq!(line(&text)[..5], ["make_call", "none", "none", "1", "32"]);
}

/// The line of the README, on a source that is too slow.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_retried_by_the_code_of_their_failure() {
    let up = Up::start().await;
    let mock = MockServer::start(Ats::new(Settings::without_latency())).await.unwrap();
    mock.ats().set_faults([Fault::new(FaultKind::Hang, Pages::All, Times::Always)]);
    let definition = Definition::original("slow", &mock.url(), Face::TestData.path(), 30);
    let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    std::fs::write(&file, serde_json::to_string(&definition).unwrap()).unwrap();
    up.ok(&["sources", "add", file.path().to_str().unwrap()]).await;
    let mut collect = up.command(&["collect", "--source", "slow", "--count", "5"]);
    let mut collect = collect.stdout(Stdio::null()).spawn().unwrap();

    let retry = ["jobs", "retry", "--error-code", "source_timeout", "--yes"];
    up.until(&retry, |text| text == "1 retried\n").await;
    mock.ats().set_faults([]);
    let collected = tokio::time::timeout(PATIENCE, collect.wait()).await.unwrap().unwrap();
    assert!(collected.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_get_a_helpful_answer() {
    let up = Up::start().await;
    for (arguments, expected) in [
        (vec!["jobs", "list", "--state", "nonsense"], "state: must be a list"),
        (vec!["jobs", "list", "--older-than", "soon"], "older_than: must be a length of time"),
        (vec!["jobs", "show", "999"], "there is no job 999"),
        (vec!["jobs", "why", "999"], "there is no job 999"),
        (vec!["jobs", "cancel", "999"], "there is no job 999"),
        (vec!["jobs", "cancel"], "--queue"),
        (vec!["jobs", "cancel", "7", "--all"], "cannot be used with"),
        (vec!["jobs", "cancel", "--all", "--queue", "x"], "cannot be used with"),
        (vec!["jobs", "retry", "--state", "running", "--yes"], "a running job cannot be retried"),
        (
            vec!["queues", "pause", "no/such queue?"],
            "there are: continue_collection, finish_collection, make_call",
        ),
        (vec!["queues", "limit", "make_call"], "--max-running"),
        (
            vec!["queues", "limit", "make_call", "--max-running", "0"],
            "max_running: must be a whole number from 1",
        ),
        (vec!["queues", "limit", "make_call", "--max-running", "many"], "many"),
        (vec!["queues", "demand", "make_call", "--target", "0s"], "target: must be longer than 0"),
    ] {
        let (ok, text) = up.run(&arguments).await;
        assert!(!ok && text.starts_with("error: ") && text.contains(expected), "{arguments:?}: {text}");
    }
}
