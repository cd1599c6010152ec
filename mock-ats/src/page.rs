use crate::{Face, PageQuery, item::write_item};

/// The body of a page as UTF-8 JSON: `{"results":[..],"next":url or null}`. A pure function: no limit, no
/// latency, no faults.
///
/// `base_url` is scheme and host, such as `http://127.0.0.1:8000`; the next link is that, the face's path and
/// every parameter in a fixed order. A page past the end has no results and no next link.
pub fn page(face: Face, query: PageQuery, base_url: &str) -> Vec<u8> {
    let next = (query.page() < query.last_page()).then(|| query.page() + 1);
    body(face, query, base_url, query.indexes(), next)
}

/// The page, but with the last half of the page before in front of it: what a client sees when the list grew
/// at its head between two calls. Nobody is lost, and some come twice. The first page stays as it is.
pub(crate) fn page_repeating_items(face: Face, query: PageQuery, base_url: &str) -> Vec<u8> {
    let own = query.indexes();
    let repeated = u64::from(query.per_page().div_ceil(2));
    let next = (query.page() < query.last_page()).then(|| query.page() + 1);
    body(face, query, base_url, own.start.saturating_sub(repeated)..own.end, next)
}

/// The page, but its next link leads back to page 1.
pub(crate) fn page_looping(face: Face, query: PageQuery, base_url: &str) -> Vec<u8> {
    body(face, query, base_url, query.indexes(), Some(1))
}

fn body(
    face: Face,
    query: PageQuery,
    base_url: &str,
    indexes: std::ops::Range<u64>,
    next: Option<u32>,
) -> Vec<u8> {
    // Enough for most pages, so that a page is written without growing.
    let mut out = Vec::with_capacity(256 + (indexes.end - indexes.start) as usize * 1024);
    out.extend_from_slice(br#"{"results":["#);
    for index in indexes.clone() {
        if index > indexes.start {
            out.push(b',');
        }
        write_item(&mut out, face, query.seed(), index, query.errors());
    }
    out.extend_from_slice(br#"],"next":"#);
    match next {
        Some(next) => write_url(&mut out, face, query, base_url, next),
        None => out.extend_from_slice(b"null"),
    }
    out.push(b'}');
    out
}

fn write_url(out: &mut Vec<u8>, face: Face, query: PageQuery, base_url: &str, page: u32) {
    let base_url = base_url.trim_end_matches('/');
    let url = format!("{base_url}{}?{}", face.path(), query.to_query_string(page));
    // The host is what the client said, so it goes through a serializer. Writing a string to a Vec cannot
    // fail.
    let written = serde_json::to_writer(out, &url);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::item;

    fn query(pairs: &[(&str, &str)]) -> PageQuery {
        PageQuery::from_pairs(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn a_page_is_its_items() {
        for face in Face::ALL {
            let query =
                query(&[("count", "7"), ("per_page", "3"), ("page", "2"), ("seed", "5"), ("errors", "1")]);
            let items: Vec<_> = (3..6).map(|index| item(face, 5, index, true)).collect();
            let next = format!("http://h:1{}?count=7&per_page=3&page=3&errors=true&seed=5", face.path());
            let expected = format!(r#"{{"results":[{}],"next":"{next}"}}"#, items.join(","));
            assert_eq!(String::from_utf8(page(face, query, "http://h:1/")).unwrap(), expected);
        }
    }

    #[test]
    fn pages_past_the_end_are_empty() {
        let body = page(Face::TestData, query(&[("page", "11")]), "http://h");
        assert_eq!(body, br#"{"results":[],"next":null}"#);
    }

    #[test]
    fn a_strange_host_does_not_break_the_json() {
        let body = page(Face::TestData, PageQuery::default(), "http://a\"b\\");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["next"].as_str().unwrap().starts_with("http://a\"b\\/api"));
    }
}
