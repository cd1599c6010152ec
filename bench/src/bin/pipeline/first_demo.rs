use std::{path::Path, process::Stdio, time::Instant};

use anyhow::{Context, Result, ensure};
use bench::Target;
use tokio::process::Command;

/// Clones the committed state and runs the README's first command in it. What cargo has downloaded before is
/// used.
pub(crate) async fn time(directory: &Path) -> Result<Vec<Target>> {
    let clone = directory.join("clone");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no workspace")?;
    let cloned = Command::new("git").arg("clone").arg("--quiet").arg(source).arg(&clone).status().await?;
    ensure!(cloned.success(), "git clone failed");
    let begun = Instant::now();
    let status = Command::new("cargo")
        .args(["run", "--release", "--", "demo", "--bind", "127.0.0.1:0"])
        .current_dir(&clone)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("DATABASE_URL")
        .env("RESUME_DATA_DIR", directory.join("demo-data"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .await?;
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    ensure!(status.success(), "the demo failed");
    println!("first demo of a fresh clone, build included");
    println!("  minutes                         {minutes:.2}");
    Ok(vec![Target::at_most("first_demo_minutes", minutes, 8.0)])
}
