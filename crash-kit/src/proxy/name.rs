//! Names for statements: short, telling, and the same in each run.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::Statement;

/// The longest summary of a statement in a listing.
const SUMMARY_MAX: usize = 160;

/// How many steps of a `with` are named: enough to tell statements apart.
const STEPS_MAX: usize = 4;

/// The longest parameter that still is a word and not data.
const SUBJECT_MAX: usize = 32;

/// Names the statement with this text and this first parameter.
pub(crate) fn statement(sql: &str, first_parameter: Option<&str>) -> Statement {
    let words = words(sql);
    let mut hasher = DefaultHasher::new();
    words.hash(&mut hasher);
    let is_word = |text: &&str| {
        let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        letters && text.len() <= SUBJECT_MAX && text.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    Statement {
        summary: summary(&words),
        subject: first_parameter.filter(is_word).map(str::to_owned),
        digest: hasher.finish() as u16,
    }
}

/// A statement that ends a transaction is named after what it ends with.
pub(crate) fn end_of_transaction(verb: &Statement, last: &Statement) -> Statement {
    let mut hasher = DefaultHasher::new();
    (verb.digest, last.digest).hash(&mut hasher);
    Statement {
        summary: format!("{} after {}", verb.summary, last.summary),
        subject: last.subject.clone(),
        digest: hasher.finish() as u16,
    }
}

/// The words and marks of a statement in lower case, without comments; a literal is `?`.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if first == '\'' {
            words.push("?".to_owned());
            literal_length(rest)
        } else if is_part(first) {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let is_number = first.is_ascii_digit();
            words.push(if is_number { "?".to_owned() } else { rest[..end].to_lowercase() });
            end
        } else {
            words.push(first.to_string());
            first.len_utf8()
        };
        rest = rest[length..].trim_start();
    }
    words
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$' | '"')
}

/// The length of the quoted literal that the text begins with; a doubled quote is part of it.
fn literal_length(text: &str) -> usize {
    let mut end = 1;
    loop {
        match text[end..].find('\'') {
            None => return text.len(),
            Some(at) if text[end + at + 1..].starts_with('\'') => end += at + 2,
            Some(at) => return end + at + 1,
        }
    }
}

/// What a statement writes to or, if it does not write, reads.
fn summary(words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let steps = steps(&words);
    let mut parts = Vec::new();
    for (at, window) in words.windows(3).enumerate() {
        let before = at.checked_sub(1).map(|before| words[before]);
        let part = match window {
            ["insert", "into", table] => format!("insert {table}"),
            ["delete", "from", table] => format!("delete {table}"),
            ["update", table, _] if !matches!(before, Some("for" | "do")) => format!("update {table}"),
            _ => continue,
        };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() {
        parts.push(reads(&words, &steps));
    }
    let with = match steps.len() {
        0 => String::new(),
        1..=STEPS_MAX => format!("with {}: ", steps.join(", ")),
        _ => format!("with {} ..: ", steps[..STEPS_MAX].join(", ")),
    };
    let mut summary = with + &parts.join(", ");
    if summary.len() > SUMMARY_MAX {
        summary.truncate(summary.floor_char_boundary(SUMMARY_MAX));
        summary.push('…');
    }
    summary
}

/// The first table that a statement reads, or the first function that it calls, or else how it begins.
fn reads(words: &[&str], steps: &[&str]) -> String {
    let is_name = |word: &str| word.starts_with(|c: char| c.is_alphabetic() || c == '"');
    let is_call = |at: usize| is_name(words[at]) && words.get(at + 1) == Some(&"(");
    let is_table = |at: &usize| {
        let is_part_of_date = *at >= 4 && words[at - 4] == "extract";
        let is_source = matches!(words[at - 1], "from" | "join") && !is_part_of_date;
        is_source && is_name(words[*at]) && !is_call(*at) && !steps.contains(&words[*at])
    };
    let is_function = |at: &usize| {
        let is_syntax =
            matches!(words[*at], "exists" | "case" | "in" | "any" | "materialized" | "as" | "date");
        is_call(*at) && !is_syntax && (words[*at].contains('.') || steps.is_empty())
    };
    if let Some(table) = (1..words.len()).find(is_table) {
        return format!("select {}", words[table]);
    }
    match (1..words.len()).find(is_function) {
        Some(function) if matches!(words[0], "select" | "with") => format!("select {}()", words[function]),
        _ => words.iter().take(4).copied().collect::<Vec<_>>().join(" "),
    }
}

/// The names of the steps of a `with`.
fn steps<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let is_step =
        |at: &usize| matches!(words.get(at + 1..), Some(["as", "(", ..] | ["as", "materialized", "(", ..]));
    if words.first() != Some(&"with") {
        return Vec::new();
    }
    (1..words.len()).filter(is_step).map(|at| words[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_summed_up_by_what_it_writes() {
        for (sql, expected) in [
            ("BEGIN", "begin"),
            ("LISTEN \"queue\"", "listen \"queue\""),
            ("insert into effects values (1, 'it''s'), (2, 'b')", "insert effects"),
            ("select pg_try_advisory_xact_lock($1) as \"ours!\"", "select pg_try_advisory_xact_lock()"),
            ("select id from queue.live_jobs where a = 'update x set'", "select queue.live_jobs"),
            ("select extract(epoch from run_at - now()) from queue.live_jobs", "select queue.live_jobs"),
            ("with t as (select now()) select queue.make(a) from t", "with t: select queue.make()"),
            ("select w.a from unnest($1) as w (a) join t on t.a = w.a", "select t"),
            (
                "with a as materialized (select id from t for update skip locked), b as (select 1)\n\
                 update t set x = 1 -- insert into nothing",
                "with a, b: update t",
            ),
            (
                "with ended as (delete from t using unnest($1) as d (id) returning *) insert into h select 1",
                "with ended: delete t, insert h",
            ),
            ("insert into t (a) values (1) on conflict (a) do update set b = 1", "insert t"),
        ] {
            assert_eq!(statement(sql, None).summary, expected, "{sql}");
        }
    }

    #[test]
    fn literals_do_not_make_another_statement() {
        let one = statement("insert into t values (1, 'a')", None);
        assert_eq!(one, statement("INSERT INTO t\n  VALUES (23, 'b''c') -- again", None));
        assert_ne!(one, statement("insert into t values (1, $1)", None));
    }

    #[test]
    fn a_word_as_the_first_parameter_is_the_subject() {
        for (parameter, subject) in [
            ("make_call", Some("make_call")),
            ("host:17", None),
            ("{\"n\":1}", None),
            ("", None),
            ("7", None),
        ] {
            assert_eq!(statement("select $1", Some(parameter)).subject.as_deref(), subject, "{parameter}");
        }
    }
}
