use crate::{client::Found, output::say};

/// How wide the list of a resume's skills may become.
const SKILLS_WIDTH: usize = 60;
/// How wide any other column may become.
const COLUMN_WIDTH: usize = 80;

/// Prints rows under a header, each column as wide as it needs to be.
pub(crate) fn print_rows<const N: usize>(header: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|text| shorten(&one_line(text), COLUMN_WIDTH))).collect();
    let header = header.map(str::to_owned);
    let mut widths = [0; N];
    for row in rows.iter().chain([&header]) {
        for (width, text) in widths.iter_mut().zip(row) {
            *width = text.chars().count().max(*width);
        }
    }
    for row in [&header].into_iter().chain(&rows) {
        let cells = row.iter().zip(widths).map(|(text, width)| format!("{text:<width$}"));
        say!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}

/// A text of somebody else on one line, without what could command the terminal.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// A time of the API, to the second; the `Z` says that it is UTC.
pub(crate) fn time(at: &str) -> String {
    let (date, time) = at.split_once('T').unwrap_or((at, ""));
    let seconds = time.split(['.', 'Z', '+']).next().unwrap_or(time);
    format!("{date} {seconds}Z")
}

/// A time span.
pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.3} s")
}

/// Prints search results, one resume a line, those skills first that were searched for.
pub(crate) fn print(found: &Found) {
    let total = &found.total;
    say!("{}{} found", if total.exact { "" } else { "at least " }, total.value);
    if found.results.is_empty() {
        return;
    }
    say!("  {:>7}  {:<16} {:<14} skills (found in brackets)", "id", "source", "external id");
    for hit in &found.results {
        let matched = hit.matched_skills.iter().map(|skill| format!("[{skill}]"));
        let others = hit.skills.iter().filter(|skill| !hit.matched_skills.contains(skill)).cloned();
        let skills = matched.chain(others).collect::<Vec<_>>().join(" ");
        say!(
            "  {:>7}  {:<16} {:<14} {}",
            hit.id,
            hit.source,
            hit.external_id,
            shorten(&skills, SKILLS_WIDTH)
        );
    }
}

fn shorten(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
