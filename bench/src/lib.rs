//! What the bench programs share: the head of the report, medians and targets.
#![expect(clippy::print_stdout, reason = "a bench program reports on standard output")]

use std::process::Command;

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

/// A figure and what was promised.
#[derive(Debug, Clone)]
pub struct Target {
    /// What is measured, with its unit last.
    pub name: String,
    /// The figure.
    pub figure: f64,
    /// The most it may be.
    pub at_most: f64,
}

impl Target {
    /// Prints the verdict, in the form that every bench program ends with.
    pub fn print(&self) {
        let verdict = if self.figure <= self.at_most { "met" } else { "missed" };
        println!("TARGET {} {:.2} {} {verdict}", self.name, self.figure, self.at_most);
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
