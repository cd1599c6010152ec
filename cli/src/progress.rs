use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{
    client::{Client, Status, Waiting},
    output::say,
    table::{one_line, time},
};

/// How often the bars move at most; less often where a look is not cheap.
const LOOK: Duration = Duration::from_millis(100);
/// A look may take this share of the time, as one in so many.
const LOOK_SHARE: u32 = 10;
const BAR: &str = "{prefix:>10} {bar:40.cyan/blue} {pos}/{len} {msg}";
const SPINNER: &str = "{prefix:>10} {spinner} {pos} {msg}";

/// How long a service may be away.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// How soon one that is away is asked again.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a line is printed where there is no terminal.
const LINE: Duration = Duration::from_secs(2);

/// Watches a collection until it is over, with bars on a terminal and a line now and then elsewhere.
pub(crate) async fn watch(client: &Client, id: &str) -> Result<Status> {
    let bars = std::io::stderr().is_terminal().then(Bars::new);
    let mut silent_for = LINE;
    loop {
        let begun = Instant::now();
        let status = look(client, id).await?;
        let pause = LOOK.max(begun.elapsed() * LOOK_SHARE);
        match &bars {
            Some(bars) => bars.show(&status),
            None if silent_for >= LINE && !status.is_over() => {
                silent_for = Duration::ZERO;
                say!("{}", line(&status));
                print_notes(&status);
            }
            None => silent_for += pause,
        }
        if status.is_over() {
            if let Some(bars) = &bars {
                bars.clear()?;
            }
            say!("{}", line(&status));
            print_notes(&status);
            return Ok(status);
        }
        tokio::time::sleep(pause).await;
    }
}

/// Looks how far a collection is. A service that is away for a moment, as when it is restarted, is asked
/// again.
async fn look(client: &Client, id: &str) -> Result<Status> {
    let begun = Instant::now();
    loop {
        match client.status(id).await {
            Err(error) if is_away(&error) && begun.elapsed() < AWAY_MAX => tokio::time::sleep(AGAIN).await,
            looked => return looked,
        }
    }
}

/// Whether no answer came.
fn is_away(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<reqwest::Error>())
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

/// What a collection waits for, or how its end is to be read; a line each.
pub(crate) fn notes(status: &Status) -> Vec<String> {
    let mut notes: Vec<String> = status.waiting.iter().map(waiting).collect();
    if status.is_cut {
        let count = status.parameters.count.map_or_else(String::new, |count| format!(" at --count {count}"));
        notes.push(format!("cut off{count}; the source may have more"));
    } else if status.complete == Some(false) {
        notes.push("complete: false; it does not have all that the source listed".to_owned());
    }
    notes
}

fn waiting(waiting: &Waiting) -> String {
    let of = waiting.source.as_ref().map_or_else(String::new, |source| format!(" for {source}"));
    let next = waiting.next_try_at.as_ref().map_or_else(String::new, |at| format!(", next try {}", time(at)));
    one_line(&format!("waiting{of}: {}{next}", waiting.message))
}

/// Prints what a collection waits for, and whether it has everything.
pub(crate) fn print_notes(status: &Status) {
    for note in notes(status) {
        say!("  {note}");
    }
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
    waiting: ProgressBar,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::new();
        let bar =
            |name: &'static str| all.add(ProgressBar::new(0).with_style(style(SPINNER)).with_prefix(name));
        let (pages, documents, resumes) = (bar("pages"), bar("documents"), bar("resumes"));
        let line =
            |name| all.add(ProgressBar::new(0).with_style(style("{prefix:>10} {msg}")).with_prefix(name));
        let (calls, waiting) = (line("calls/s"), line("state"));
        Self { all, pages, documents, resumes, calls, waiting }
    }

    fn show(&self, status: &Status) {
        let seen = status.documents.stored + status.documents.unchanged;
        let expected = status.parameters.count;
        set(&self.pages, status.pages.fetched + status.pages.failed, status.pages.expected);
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
        let notes = notes(status);
        self.waiting.set_message(notes.first().unwrap_or(&status.state).clone());
    }

    fn clear(&self) -> Result<()> {
        Ok(self.all.clear()?)
    }
}

/// Moves a bar; as long as nobody knows how much there will be it is a spinner.
fn set(bar: &ProgressBar, position: u64, length: Option<u64>) {
    bar.set_style(style(if length.is_some() { BAR } else { SPINNER }));
    bar.set_length(length.unwrap_or(position));
    bar.set_position(position);
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse would be a slip of ours; the plain style then does.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
