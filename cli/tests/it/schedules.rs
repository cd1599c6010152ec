//! `schedules`, against a running service.

use crate::up::Up;

const ARGS: [&str; 2] = ["--args", r#"{"count": 20, "per_page": 10}"#];

/// Waits until so many collections have completed.
async fn until_completed(up: &Up, collections: usize) {
    up.until(&["status"], |text| text.matches(" completed ").count() == collections).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_collections() {
    let up = Up::start().await;
    // Its moment has just passed: it is made up for at once.
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let once = ["schedules", "put", "once", "--at", &now];
    let text = up.ok(&[&once[..], &ARGS].concat()).await;
    assert!(
        text.starts_with("schedule once, enabled\n")
            && text.contains(&format!("once, {}", now.replace('T', " "))),
        "{text}"
    );
    until_completed(&up, 1).await;

    let nightly = ["schedules", "put", "nightly", "--cron", "0 2 * * *", "--time-zone", "Europe/Berlin"];
    let text = up.ok(&[&nightly[..], &ARGS, &["--disabled"]].concat()).await;
    assert!(
        text.contains("schedule nightly, disabled") && text.contains("0 2 * * * Europe/Berlin"),
        "{text}"
    );
    let text = up.ok(&["schedules", "run", "nightly"]).await;
    assert!(text.starts_with("job ") && text.contains("is enqueued"), "{text}");
    let id = text.split_whitespace().nth(1).unwrap();
    until_completed(&up, 2).await;
    let text = up.ok(&["jobs", "show", id]).await;
    assert!(text.contains("of the queue start_collection, completed"), "{text}");
    let text = up.ok(&["schedules", "show", "nightly"]).await;
    assert!(text.lines().any(|line| line.split_whitespace().eq(["last", "job", id])), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_switched_and_deleted() {
    let up = Up::start().await;
    assert_eq!(up.ok(&["schedules", "list"]).await, "no schedule\n");
    let put = ["schedules", "put", "a b/c?", "--cron", "@yearly", "--missed", "all", "--priority", "-5"];
    let text = up
        .ok(&[&put[..], &["--max-attempts", "3", "--jitter", "10m", "--kind", "start_collection"]].concat())
        .await;
    for expected in
        ["schedule a b/c?, enabled", "@yearly UTC", "up to 3", "up to 10m", "all", "-5", "start_collection"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(
        text.lines().filter(|line| line.trim_end().ends_with("-01-01 00:00:00Z")).count(),
        5,
        "{text}"
    );

    let text = up.ok(&["schedules", "disable", "a b/c?"]).await;
    assert!(text.starts_with("schedule a b/c?, disabled\n"), "{text}");
    up.ok(&put).await;
    let text = up.ok(&["schedules", "list"]).await;
    assert!(text.contains("a b/c?") && text.contains("disabled"), "a put does not enable: {text}");
    let text = up.ok(&["schedules", "enable", "a b/c?"]).await;
    assert!(text.starts_with("schedule a b/c?, enabled\n"), "{text}");
    assert_eq!(up.ok(&["schedules", "delete", "a b/c?"]).await, "deleted the schedule a b/c?\n");
    assert_eq!(up.ok(&["schedules", "list"]).await, "no schedule\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_get_a_helpful_answer() {
    let up = Up::start().await;
    let put = ["schedules", "put", "x"];
    for (arguments, expected) in [
        (&[][..], "--cron"),
        (&["--cron", "0 2 * * *", "--at", "2026-05-01T10:00:00Z"], "cannot be used with"),
        (&["--at", "2026-05-01T10:00:00Z", "--time-zone", "UTC"], "cannot be used with"),
        (&["--at", "tomorrow"], "at: must be a time such as"),
        (&["--cron", "0 25 * * *"], "cron: hour, at character 3: "),
        (&["--cron", "@daily", "--time-zone", "Mars"], "time_zone: is no name of the IANA database"),
        (
            &["--cron", "@daily", "--kind", "nap"],
            "kind: must be the kind of a job that can be scheduled: start_",
        ),
        (&["--cron", "@daily", "--args", "{count: 1}"], "--args"),
        (&["--cron", "@daily", "--args", "[]"], "--args"),
        (&["--cron", "@daily", "--args", r#"{"count": 0}"#], "args.count: must be a whole number, 1 or more"),
        (&["--cron", "@daily", "--args", r#"{"source": "nowhere"}"#], "args.source: no source has this name"),
        (&["--cron", "@daily", "--missed", "twice"], "missed: must be one of skip, once, all"),
        (&["--cron", "@daily", "--jitter", "2h"], "jitter: must be a length of time in whole seconds"),
        (&["--cron", "@daily", "--priority", "99999"], "priority: must be a whole number from -32768"),
        (&["--cron", "@daily", "--max-attempts", "0"], "max_attempts: must be a whole number from 1"),
    ] {
        let (ok, text) = up.run(&[&put[..], arguments].concat()).await;
        assert!(!ok && text.starts_with("error: ") && text.contains(expected), "{arguments:?}: {text}");
    }
    for name in ["", ".", "..", "/"] {
        for arguments in [&["schedules", "put", name, "--cron", "@daily"][..], &["queues", "pause", name]] {
            let (ok, text) = up.run(arguments).await;
            assert!(!ok && text.contains(&format!("{name:?} is no name")), "{arguments:?}: {text}");
        }
    }
    for command in ["show", "enable", "disable", "run", "delete"] {
        let (ok, text) = up.run(&["schedules", command, "x"]).await;
        assert!(!ok && text.contains("no schedule has this name"), "{command}: {text}");
    }
}
