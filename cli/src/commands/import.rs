use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use resume_core::import::Container;

use crate::{client::Client, options::ImportOptions, output::say, progress, table::one_line};

/// Imports one file after the other, each as a collection of its own. A file that is bad is told, and the
/// others are imported all the same; fails then, so that scripts notice. Single documents that failed are
/// told, and are no failure.
pub(crate) async fn run(options: ImportOptions) -> Result<()> {
    let client = Client::new(&options.service.url)?;
    let files = files(&options.paths)?;
    let mut bad = 0;
    for file in &files {
        if let Err(error) = import(&client, &options.source, file).await {
            bad += 1;
            say!("{}: {}", shown(file), one_line(&format!("{error:#}")));
        }
    }
    if bad > 0 {
        bail!("{bad} of {} files not imported", files.len());
    }
    Ok(())
}

async fn import(client: &Client, source: &str, file: &Path) -> Result<()> {
    let extension = file.extension().and_then(|extension| extension.to_str());
    let container = extension
        .and_then(Container::of_extension)
        .context("its name tells no format: it must end in .json, .ndjson, .jsonl or .csv")?;
    let (id, duplicates) = client.import(source, container, file).await?;
    say!("{}: collection {id}", shown(file));
    if duplicates > 0 {
        say!("duplicate_id: {duplicates} items have the id of an item before them, and the last one counts");
    }
    let status = progress::watch(client, &id).await?;
    progress::print_errors(&status);
    Ok(())
}

/// The files that are meant: those that are named, and those in the folders that are named.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = in_folder(path).with_context(|| format!("cannot read {}", path.display()))?;
            if found.is_empty() {
                bail!("no file in {} ends in .json, .ndjson, .jsonl or .csv", path.display());
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if extension.and_then(Container::of_extension).is_some() && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn shown(file: &Path) -> String {
    one_line(&file.display().to_string())
}
