//! Finds the SQL in the sources of the workspace.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A statement in a source file.
#[derive(Debug)]
pub(crate) struct Statement {
    /// The file, from the root of the workspace.
    pub(crate) file: String,
    pub(crate) sql: String,
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The files of the workspace with this extension, from its root; what is built is left out.
pub(crate) fn files(extension: &str) -> Vec<String> {
    let root = workspace();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && (!name.starts_with('.') || name == ".sqlx") {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path.strip_prefix(&root).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

pub(crate) fn read(file: &str) -> String {
    fs::read_to_string(workspace().join(file)).unwrap()
}

/// Whether this file of SQL is a migration, of the domain or of the queue.
pub(crate) fn is_migration(file: &str) -> bool {
    file.starts_with("migrations/") || file.starts_with("queue/migrations/")
}

/// Every statement of the `query!` macros in the workspace's own code and tests, and every `.sql` file beside
/// it.
pub(crate) fn statements() -> Vec<Statement> {
    let mut all = Vec::new();
    for file in files("rs") {
        all.extend(queries(&read(&file)).into_iter().map(|sql| Statement { file: file.clone(), sql }));
    }
    for file in files("sql").into_iter().filter(|file| !is_migration(file)) {
        all.push(Statement { sql: read(&file), file });
    }
    all
}

/// The first string literal behind each `query..!(`; those of the `query_file..!` macros are file names and
/// left out.
fn queries(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("sqlx::query") {
        let rest = &code[start..];
        let Some((name, arguments)) = rest.split_once("!(") else { continue };
        let is_macro = name["sqlx::query".len()..].chars().all(|c| c.is_ascii_lowercase() || c == '_');
        if !is_macro || name.starts_with("sqlx::query_file") {
            continue;
        }
        let Some((before, literal)) = arguments.split_once('"') else { continue };
        let end = if before.ends_with("r#") { "\"#" } else { "\"" };
        found.extend(literal.split_once(end).map(|(sql, _)| sql.to_owned()));
    }
    found
}

#[test]
fn queries_are_found_in_code() {
    let code = r##"
        let a = sqlx::query!("select 1").fetch(x);
        sqlx::query_as!(Row, r#"select "a" as "b!""#, sqlx::query);
        sqlx::query_file!("x.sql"); // sqlx::query is no macro ("here")
    "##;
    assert_eq!(queries(code), ["select 1", r#"select "a" as "b!""#]);
}
