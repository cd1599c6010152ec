//! What the bench programs share: arguments, a cluster, the head of the report, medians, targets and SQL.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

pub mod arguments;
pub mod cluster;
pub mod sql;

use std::process::Command;

use anyhow::{Context, Result};

/// Prints what a figure is worth nothing without: commit, machine and versions.
pub fn print_head(program: &str, postgres: &str) {
    let dirty =
        if output("git", &["status", "--porcelain"]).is_empty() { "" } else { " + uncommitted changes" };
    println!("program   {program}");
    println!("commit    {}{dirty}", output("git", &["rev-parse", "--short=12", "HEAD"]));
    println!("machine   {} x {}", std::thread::available_parallelism().map_or(0, usize::from), cpu_model());
    println!("system    {}", output("uname", &["-sr"]));
    println!("postgres  {postgres}");
    println!("rustc     {}", output("rustc", &["--version"]));
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

fn cpu_model() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The middle one of some figures, the lower of the two middle ones for an even number; 0 for none.
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

/// Figures as `median (least to most)`, with two decimals.
pub fn spread(figures: &[f64]) -> String {
    let least = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let most = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(figures))
}

/// Ticks of /proc/PID/stat in a second: `USER_HZ`, 100 on every Linux of today (proc(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of a process so far: fields 14 and 15 of /proc/PID/stat (proc(5)).
///
/// # Errors
/// When there is no such process.
pub fn processor_seconds(pid: u32) -> Result<f64> {
    processor_ticks(pid, 2).map(|ticks| ticks / TICKS_PER_SECOND)
}

/// The same with the time of those of its children that have ended: fields 14 to 17.
///
/// # Errors
/// When there is no such process.
pub fn processor_seconds_with_children(pid: u32) -> Result<f64> {
    processor_ticks(pid, 4).map(|ticks| ticks / TICKS_PER_SECOND)
}

fn processor_ticks(pid: u32, fields: usize) -> Result<f64> {
    let fields = fields_of_stat(pid)?.into_iter().skip(11).take(fields);
    Ok(fields.map(|field| field.parse::<f64>()).sum::<Result<f64, _>>()?)
}

/// Which memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// What it holds now: `VmRSS`.
    Now,
    /// The most that it ever held: `VmHWM`.
    Peak,
}

/// The resident memory of a process in MB, out of /proc/PID/status (proc(5)).
///
/// # Errors
/// When there is no such process.
pub fn memory_megabytes(pid: u32, which: Memory) -> Result<f64> {
    let name = match which {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("odd /proc/PID/status")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// The parent of a process, if there is such a process.
pub fn parent_of(pid: u32) -> Option<u32> {
    fields_of_stat(pid).ok()?.get(1)?.parse().ok()
}

/// The fields of /proc/PID/stat from the third on; the second, a name in brackets, can hold anything.
fn fields_of_stat(pid: u32) -> Result<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("odd /proc/PID/stat")?.1;
    Ok(after_name.split_whitespace().map(str::to_owned).collect())
}

/// A figure and what was promised.
#[derive(Debug, Clone)]
pub struct Target {
    name: String,
    figure: f64,
    bound: f64,
    met: bool,
}

impl Target {
    /// A figure that must not be over its bound. The name ends with the unit.
    pub fn at_most(name: impl Into<String>, figure: f64, bound: f64) -> Self {
        Self { name: name.into(), figure, bound, met: figure <= bound }
    }

    /// A figure that must not be under its bound.
    pub fn at_least(name: impl Into<String>, figure: f64, bound: f64) -> Self {
        Self { name: name.into(), figure, bound, met: figure >= bound }
    }

    /// Whether the figure is within its bound.
    pub fn is_met(&self) -> bool {
        self.met
    }

    /// Prints the verdict, in the form that every bench program ends with.
    pub fn print(&self) {
        let verdict = if self.met { "met" } else { "missed" };
        println!("TARGET {} {:.2} {} {verdict}", self.name, self.figure, self.bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert_eq!(median(&[]), 0.0);
        assert_eq!(spread(&[2.0, 1.0, 4.0]), "2.00 (1.00 to 4.00)");
    }
}
