//! `sources calls`, against a running service.

use crate::up::Up;

#[tokio::test(flavor = "multi_thread")]
async fn the_calls_to_a_source_are_told_and_stated() {
    let up = Up::start().await;
    up.ok(&["collect", "--count", "10"]).await;
    let text = up.ok(&["sources", "calls", "test-data"]).await;
    assert!(text.starts_with("from ") && text.contains("most in any 1s"), "{text}");
    let day =
        ["sources", "calls", "test-data", "--from", "2026-11-24T00:00:00Z", "--to", "2026-11-25T00:00:00Z"];
    let text = up.ok(&day).await;
    assert!(text.starts_with("from 2026-11-24 00:00:00Z to 2026-11-25 00:00:00Z\n"), "{text}");
    let text = up.ok(&[&day[..], &["--statement"]].concat()).await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("source,from,to,limit_calls,"), "{text}");
    let expected = "test-data,2026-11-24T00:00:00.000Z,2026-11-25T00:00:00.000Z,30,1,0,true,0,0,0,0,0,0,0";
    assert_eq!(lines[1], expected);
    let (ok, text) = up.run(&["sources", "calls", "test-data", "--statement", "--from", "yesterday"]).await;
    assert!(!ok && text.contains("from: "), "{text}");
}
