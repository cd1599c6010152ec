//! The `Link` header, RFC 8288, section 3.

/// A header field that is no list of links.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The target of the first link with the relation `next` in a header field, as it stands there. Links in the
/// name of another page (`anchor`) are none of ours.
///
/// # Errors
/// When the field cannot be read up to there: what cannot be read may have been the next page.
pub(crate) fn next_target(field: &str) -> Result<Option<&str>, Malformed> {
    let mut rest = field;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Ok(None);
        }
        let (target, behind) =
            rest.strip_prefix('<').and_then(|inner| inner.split_once('>')).ok_or(Malformed)?;
        let (is_next, behind) = parameters(behind)?;
        if is_next {
            return Ok(Some(target));
        }
        rest = behind;
    }
}

/// Reads the parameters of one link: whether they make it the next page, and what stands behind them.
fn parameters(mut rest: &str) -> Result<(bool, &str), Malformed> {
    let mut relations = None;
    let mut is_anchored = false;
    loop {
        rest = skip_space(rest);
        if rest.is_empty() || rest.starts_with(',') {
            let is_next =
                relations.is_some_and(|text: String| text.split_ascii_whitespace().any(is_next_relation));
            return Ok((is_next && !is_anchored, rest));
        }
        rest = skip_space(rest.strip_prefix(';').ok_or(Malformed)?);
        let name;
        (name, rest) = token(rest);
        let mut value = String::new();
        if let Some(behind) = skip_space(rest).strip_prefix('=') {
            (value, rest) = parameter_value(skip_space(behind))?;
        }
        if name.eq_ignore_ascii_case("rel") {
            // Of several the first one counts: section 3.3.
            relations.get_or_insert(value);
        } else if name.eq_ignore_ascii_case("anchor") {
            is_anchored = true;
        }
    }
}

fn is_next_relation(relation: &str) -> bool {
    relation.eq_ignore_ascii_case("next")
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// The text up to what ends a token; may be empty.
fn token(text: &str) -> (&str, &str) {
    text.split_at(text.find([';', ',', '=', ' ', '\t']).unwrap_or(text.len()))
}

/// A value, with or without quotes, and what stands behind it.
fn parameter_value(text: &str) -> Result<(String, &str), Malformed> {
    let Some(quoted) = text.strip_prefix('"') else {
        // Up to the end of the parameter, whatever stands there: some write addresses without quotes.
        let (value, rest) = text.split_at(text.find([';', ',', ' ', '\t']).unwrap_or(text.len()));
        return Ok((value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next().ok_or(Malformed)?.1),
            char => value.push(char),
        }
    }
    Err(Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found() {
        for field in [
            r#"<n>; rel="next""#,
            "<n>;rel=next",
            "<n> ; REL = NEXT ",
            r#"<p>; rel="prev", <n>; rel="next", <l>; rel="last""#,
            r#", ,<p>; rel=prev,,<n>;rel="prefetch next""#,
            r#"<p>; title="a, <x>; rel=next \" b"; rel=prev, <n>; rel=next"#,
            r#"<n>; rel=next; rel=prev"#,
            r#"<n>; ; crossorigin; title*=UTF-8'de'n%c3%a4chste; rel="next";"#,
            r#"<a>; anchor="/other"; rel=next, <n>; rel=next"#,
            r#"<p>; rel=http://rels.example/next, <n>; rel="ne\xt""#,
        ] {
            assert_eq!(next_target(field), Ok(Some("n")), "{field}");
        }
    }

    #[test]
    fn targets_are_verbatim() {
        let field = r#"<https://a.example/x?after=a,b;c&d="e">; rel="next""#;
        assert_eq!(next_target(field), Ok(Some(r#"https://a.example/x?after=a,b;c&d="e""#)));
        assert_eq!(next_target("<>;rel=next"), Ok(Some("")));
    }

    #[test]
    fn without_a_next_page_there_is_none() {
        for field in
            ["", " , ", "<n>", "<n>; rel=prev", "<n>; rel=", r#"<n>; rel="nextish""#, "<n>; rev=next"]
        {
            assert_eq!(next_target(field), Ok(None), "{field}");
        }
    }

    #[test]
    fn what_is_no_list_of_links_is_told_from_no_link() {
        for field in [
            "https://a.example/x; rel=next",
            "<n; rel=next",
            "<p>; rel=prev <n>; rel=next",
            r#"<n>; rel="next"#,
            r#"<n>; rel="next\"#,
            "<n> rel=next",
            "next",
        ] {
            assert_eq!(next_target(field), Err(Malformed), "{field}");
        }
    }

    #[test]
    fn long_fields_take_linear_time() {
        let hostile = "<a>;rel=\"x\",".repeat(100_000);
        assert_eq!(next_target(&hostile), Ok(None));
        let hostile = format!("<a>{}", ";".repeat(1_000_000));
        assert_eq!(next_target(&hostile), Ok(None));
    }
}
