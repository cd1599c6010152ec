//! The mock system that `up` serves, and sources that are pointed at it.

use std::path::Path;

use mock_ats::Api;

use crate::up::Up;

/// Without an account, without a secret, and without a change to a file.
#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_definition_can_be_tried() {
    let up = Up::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sources");
    let mut names = Api::ALL.map(Api::name);
    // It is asked for those who were collected before, and have a link to it.
    names.sort_by_key(|name| *name == "github");
    for name in names {
        let file = folder.join(format!("{name}.yaml"));
        let text = up.ok(&["sources", "add", file.to_str().unwrap(), "--mock"]).await;
        assert!(text.contains(&format!("collect --source {name}")), "{text}");
        let text = up.ok(&["collect", "--source", name, "--count", "4"]).await;
        let end = text.lines().find(|line| line.contains("100 % completed: ")).unwrap_or_default();
        assert!(!end.is_empty() && !end.contains("documents 0 stored"), "{name}: {text}");
    }
    let file = folder.join("files-csv.yaml");
    let (ok, text) = up.run(&["sources", "add", file.to_str().unwrap(), "--mock"]).await;
    assert!(!ok && text.contains("no mock of \"acme-files\"") && text.contains("ashby, breezy, "), "{text}");
}
