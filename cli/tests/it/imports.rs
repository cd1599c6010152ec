//! `import`, against a running service.

use crate::up::Up;

const DEFINITION: &str = r#"
name: acme-files
files: { id: /Candidate ID }
format: mapped
map: { name: '"Full Name"', skills: Skills }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn files_and_folders_become_resumes() {
    let up = Up::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let definition = write("acme.yaml", DEFINITION);
    let text = up.ok(&["sources", "check", &definition]).await;
    assert!(text.contains("its items come in files"), "{text}");
    let text = up.ok(&["sources", "add", &definition]).await;
    assert!(text.contains("resume-service import --source acme-files"), "{text}");
    let text = up.ok(&["sources", "list"]).await;
    assert!(text.lines().any(|line| line.starts_with("acme-files") && line.contains("files")), "{text}");
    let (ok, text) = up.run(&["collect", "--source", "acme-files"]).await;
    assert!(!ok && text.contains("/api/v1/data-collection/import"), "{text}");

    write(
        "in/1.csv",
        "Candidate ID;Full Name;Skills\n1;Ada;\"Zig; COBOL, Zig\"\n2;Bob;COBOL\n;Nobody;COBOL\n",
    );
    write("in/2.ndjson", "{\"Candidate ID\": 3, \"Skills\": [\"COBOL\"]}\n{\"Candidate ID\" 4}\n");
    write("in/3.JSON", r#"[{"Candidate ID": "5", "Full Name": "Eve", "Skills": "COBOL"}]"#);
    write("in/notes.txt", "nothing");
    write("in/more/4.csv", "Candidate ID\n6\n");
    let input = folder.path().join("in");
    let (ok, text) = up.run(&["import", "--source", "acme-files", input.to_str().unwrap()]).await;
    assert!(!ok && text.contains("1 of 3 files not imported"), "{text}");
    for expected in [
        "1.csv: collection ",
        "100 % completed_with_errors",
        "missing_id",
        "2.ndjson: Invalid request: line 2, column 17",
        "3.JSON: collection ",
        "100 % completed: pages 1/1",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("notes") && !text.contains("4.csv"), "{text}");
    let text = up.ok(&["search", "cobol"]).await;
    assert!(text.contains("3 found"), "{text}");
    let text = up.ok(&["search", "zig"]).await;
    assert!(text.contains("1 found"), "{text}");

    let changed = write("acme.yaml", &DEFINITION.replace("skills: Skills", "skills: '\"Full Name\"'"));
    let text = up.ok(&["sources", "add", &changed]).await;
    assert!(text.contains("3 documents were read as it was before"), "{text}");
    let text = up.ok(&["sources", "reparse", "acme-files"]).await;
    assert!(text.contains("3 documents are read again; "), "{text}");
    up.until(&["search", "eve"], |text| text.contains("1 found")).await;

    for (path, expected) in [
        (folder.path().join("none.csv"), "cannot be read"),
        (folder.path().join("in/notes.txt"), "its name tells no format"),
        (folder.path().join("in/more/../../empty"), "cannot be read"),
    ] {
        let (ok, text) = up.run(&["import", "--source", "acme-files", path.to_str().unwrap()]).await;
        assert!(!ok && (text.contains(expected) || text.contains("no format")), "{path:?}: {text}");
    }
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let empty = folder.path().join("empty");
    let (ok, text) = up.run(&["import", "--source", "acme-files", empty.to_str().unwrap()]).await;
    assert!(!ok && text.starts_with("error: no file in "), "{text}");
}
