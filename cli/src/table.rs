use crate::client::Found;

/// How wide the list of a resume's skills may become.
const SKILLS_WIDTH: usize = 60;

/// Prints search results, one resume a line, those skills first that were searched for.
pub(crate) fn print(found: &Found) {
    let total = &found.total;
    println!("{}{} found", if total.exact { "" } else { "at least " }, total.value);
    if found.results.is_empty() {
        return;
    }
    println!("  {:>7}  {:<16} {:<14} skills (found in brackets)", "id", "source", "external id");
    for hit in &found.results {
        let matched = hit.matched_skills.iter().map(|skill| format!("[{skill}]"));
        let others = hit.skills.iter().filter(|skill| !hit.matched_skills.contains(skill)).cloned();
        let skills = matched.chain(others).collect::<Vec<_>>().join(" ");
        println!("  {:>7}  {:<16} {:<14} {}", hit.id, hit.source, hit.external_id, shorten(&skills));
    }
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SKILLS_WIDTH) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}
