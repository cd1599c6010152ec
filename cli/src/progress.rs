use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    client::{Client, Status},
    output::say,
};

/// How often the bars move at most; less often where a look is not cheap.
const LOOK: Duration = Duration::from_millis(100);
/// A look may take this share of the time, as one in so many.
const LOOK_SHARE: u32 = 10;
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// Watches a collection until it is over, with bars on a terminal and a line now and then elsewhere.
pub(crate) async fn watch(client: &Client, id: &str) -> Result<Status> {
    let bars = std::io::stderr().is_terminal().then(Bars::new);
    let mut silent_for = LINE;
    loop {
        let begun = Instant::now();
        let status = client.status(id).await?;
        let pause = LOOK.max(begun.elapsed() * LOOK_SHARE);
        match &bars {
            Some(bars) => bars.show(&status),
            None if silent_for >= LINE && !status.is_over() => {
                silent_for = Duration::ZERO;
                say!("{}", line(&status));
            }
            None => silent_for += pause,
        }
        if status.is_over() {
            if let Some(bars) = &bars {
                bars.clear()?;
            }
            say!("{}", line(&status));
            return Ok(status);
        }
        tokio::time::sleep(pause).await;
    }
}

fn calls_per_second(status: &Status) -> f64 {
    status.calls.made as f64 / status.elapsed_seconds.max(0.001)
}

/// One line about how far a collection is.
pub(crate) fn line(status: &Status) -> String {
    let pages = &status.pages;
    let documents = &status.documents;
    let expected = pages.expected.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let eta = match status.eta_seconds {
        Some(eta) if !status.is_over() => format!(", {eta:.0} s to go"),
        _ => String::new(),
    };
    format!(
        "{:>3.0} % {}: pages {}/{expected} ({} failed), documents {} stored {} known, resumes {} ({} failed), \
         {} calls ({:.1}/s, {} refused), {:.1} s{eta}",
        status.percent,
        status.state,
        pages.fetched,
        pages.failed,
        documents.stored,
        documents.unchanged,
        documents.parsed,
        documents.failed,
        status.calls.made,
        calls_per_second(status),
        status.calls.rate_limited,
        status.elapsed_seconds,
    )
}

/// Prints what went wrong in a collection, if anything did.
pub(crate) fn print_errors(status: &Status) {
    for error in &status.errors {
        say!("  {:>6} x {:<26} e.g. {}", error.count, error.code, error.sample);
    }
}

struct Bars {
    all: MultiProgress,
    pages: ProgressBar,
    documents: ProgressBar,
    resumes: ProgressBar,
    calls: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |name: &'static str| {
            // A template that does not parse would be a slip of this line; the plain style then does.
            let style = ProgressStyle::with_template("{prefix:>10} {bar:40.cyan/blue} {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            all.add(ProgressBar::new(0).with_style(style).with_prefix(name))
        };
        let (pages, documents, resumes) = (bar("pages"), bar("documents"), bar("resumes"));
        let style = ProgressStyle::with_template("{prefix:>10} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let calls = all.add(ProgressBar::new(0).with_style(style).with_prefix("calls/s"));
        Self { all, pages, documents, resumes, calls }
    }

    fn show(&self, status: &Status) {
        let pages_expected = status.pages.expected.unwrap_or(status.pages.fetched);
        let seen = status.documents.stored + status.documents.unchanged;
        let expected = status.parameters.count.unwrap_or(seen);
        set(&self.pages, status.pages.fetched + status.pages.failed, pages_expected);
        set(&self.documents, seen, expected);
        set(
            &self.resumes,
            status.documents.parsed + status.documents.failed + status.documents.unchanged,
            expected,
        );
        self.calls.set_message(format!(
            "{:.1} ({} made, {} refused)",
            calls_per_second(status),
            status.calls.made,
            status.calls.rate_limited
        ));
    }

    fn clear(&self) -> Result<()> {
        Ok(self.all.clear()?)
    }
}

fn set(bar: &ProgressBar, position: u64, length: u64) {
    bar.set_length(length);
    bar.set_position(position);
}
