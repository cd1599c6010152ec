use reqwest::Url;
use resume_core::source::definition::Definition;

use crate::CallError;

/// The longest link to a page: what servers accept in a request line, mostly (RFC 9112, section 3, asks for
/// 8000).
pub const LINK_BYTES_MAX: usize = 8 * 1024;
/// The longest host name of the DNS, RFC 1035.
const HOST_BYTES_MAX: usize = 253;

/// The addresses at which a source may be called.
pub(crate) struct Home {
    in_use: Url,
    others: Vec<Url>,
}

impl Home {
    /// The source's addresses, of which `base` is in use.
    pub(crate) fn new(definition: &Definition, base: &str) -> Result<Self, CallError> {
        let others = std::iter::once(&definition.base_url).chain(&definition.fallback_urls);
        Ok(Self {
            in_use: parse_base(base)?,
            others: others.map(|url| parse_base(url)).collect::<Result<_, _>>()?,
        })
    }

    /// The address in use with a path behind it.
    pub(crate) fn at(&self, path: &str) -> Result<Url, CallError> {
        let text = format!("{}{path}", self.in_use.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|e| CallError::InvalidUrl(e.to_string()))?;
        let is_below = url.origin() == self.in_use.origin() && !has_credentials(&url);
        if is_below { Ok(url) } else { Err(CallError::ForeignLink(shown_host(&url))) }
    }

    /// Returns the address of a page that an answer or a stored page names, relative to `current`. It comes
    /// from outside, and could point at anything that this process can reach, so its host must be one of the
    /// source's. Its scheme and port do not matter: behind a proxy, systems name those that they have
    /// themselves. It is moved to the address in use.
    pub(crate) fn follow(&self, current: &Url, link: &str) -> Result<Url, CallError> {
        if link.len() > LINK_BYTES_MAX {
            return Err(CallError::InvalidUrl(format!(
                "the next link has {} bytes, the most is {LINK_BYTES_MAX}",
                link.len()
            )));
        }
        let next = current
            .join(without_empty_host(link.trim()))
            .map_err(|e| CallError::InvalidUrl(format!("the next link: {e}")))?;
        self.adopt(next)
    }

    /// Whether an address is on the host and port of one of the source's addresses. As in a next link, it may
    /// say http where the source is called by https.
    pub(crate) fn is_own(&self, url: &Url) -> bool {
        let is_default = |url: &Url| url.port().is_none();
        self.all().any(|base| {
            is_same_host(base, url) && (base.port() == url.port() || is_default(base) && is_default(url))
        })
    }

    fn all(&self) -> impl Iterator<Item = &Url> {
        std::iter::once(&self.in_use).chain(&self.others)
    }

    /// The path of the list below the address in use, from which stored links are followed.
    pub(crate) fn in_use(&self) -> &Url {
        &self.in_use
    }

    fn adopt(&self, link: Url) -> Result<Url, CallError> {
        let foreign = || CallError::ForeignLink(shown_host(&link));
        // A name or a password in a link would be sent, and stored in clear.
        if has_credentials(&link) || !matches!(link.scheme(), "http" | "https") {
            return Err(foreign());
        }
        // Two addresses may differ in their ports or paths alone. Of equal ones the first wins, the one in
        // use.
        let distance = |base: &&Url| (base.origin() != link.origin(), path_below(base, &link).is_none());
        let near = self.all().filter(|base| is_same_host(base, &link)).min_by_key(distance);
        let base = near.ok_or_else(foreign)?;
        let mut moved = self.in_use.clone();
        if *base == self.in_use {
            moved.set_path(link.path());
        } else {
            let below = path_below(base, &link).unwrap_or_else(|| link.path());
            moved.set_path(&format!("{}{below}", self.in_use.path().trim_end_matches('/')));
        }
        moved.set_query(link.query());
        Ok(moved)
    }
}

fn has_credentials(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

fn is_same_host(a: &Url, b: &Url) -> bool {
    // A dot at the end says that the name is complete.
    let name = |url: &Url| url.host_str().map(|host| host.trim_end_matches('.').to_owned());
    name(a).is_some() && name(a) == name(b)
}

/// Takes scheme and slashes away where no host follows (`http:///people`): the first part of the path would
/// become one.
fn without_empty_host(link: &str) -> &str {
    let path = ["https://", "http://"].iter().find_map(|scheme| link.strip_prefix(scheme));
    path.filter(|path| path.starts_with('/')).unwrap_or(link)
}

fn parse_base(text: &str) -> Result<Url, CallError> {
    let invalid = |why: &str| CallError::InvalidUrl(format!("a base URL {why}"));
    let url = Url::parse(text).map_err(|e| invalid(&format!("is none: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("holds credentials: they belong into auth"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid("holds a query or a fragment: parameters belong into list.params"));
    }
    Ok(url)
}

/// What of a path is below that of a base; `None` when it is elsewhere.
fn path_below<'a>(base: &Url, link: &'a Url) -> Option<&'a str> {
    let below = link.path().strip_prefix(base.path().trim_end_matches('/'))?;
    (below.is_empty() || below.starts_with('/')).then_some(below)
}

/// The host of an address, short enough for the text of an error.
pub(crate) fn shown_host(url: &Url) -> String {
    // The host of an http address is ASCII.
    url.host_str().unwrap_or_default().chars().take(HOST_BYTES_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(in_use: &str, others: &[&str]) -> Home {
        let parse = |text: &str| parse_base(text).unwrap();
        Home { in_use: parse(in_use), others: others.iter().map(|text| parse(text)).collect() }
    }

    #[test]
    fn next_links_stay_on_the_host() {
        let home = home("http://ats.example:8001/v1", &[]);
        let current = Url::parse("http://ats.example:8001/v1/people?page=1").unwrap();
        let follow = |link: &str| home.follow(&current, link).map(String::from);
        assert_eq!(follow("?page=2").unwrap(), "http://ats.example:8001/v1/people?page=2");
        assert_eq!(follow("http://ats.example:8001/x").unwrap(), "http://ats.example:8001/x");
        assert_eq!(follow("/y?a=%20#top").unwrap(), "http://ats.example:8001/y?a=%20");
        for foreign in [
            "http://evil.example/",
            "//evil.example/x",
            "http://me:secret@ats.example:8001/x",
            "http://ats.example.evil.example:8001/",
            "\\\\evil.example\\x",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:,x",
        ] {
            let error = follow(foreign).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("next_link_foreign"), "{foreign}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    /// A proxy that ends TLS, or maps ports, is unknown to the system behind it.
    #[test]
    fn next_links_are_asked_by_the_scheme_and_port_of_the_base() {
        for base in ["https://ats.example/v1", "https://ats.example:9443/v1", "http://ats.example:8001/v1"] {
            let home = home(base, &[]);
            let current = Url::parse(&format!("{base}/people?page=1")).unwrap();
            for link in [
                "http://ats.example/v1/people?page=2",
                "http://ats.example:8080/v1/people?page=2#top",
                "https://ATS.example:8443/v1/people?page=2",
                "https://ats.example./v1/people?page=2",
                "//ats.example/v1/people?page=2",
                "//ats.example:1/v1/people?page=2",
                "http:///v1/people?page=2",
                "/v1/people?page=2",
                "people?page=2",
                " ?page=2\n",
            ] {
                let asked = home.follow(&current, link).unwrap();
                assert_eq!(asked.as_str(), format!("{base}/people?page=2"), "{link}");
            }
        }
        let own = |base: &str, url: &str| home(base, &[]).is_own(&Url::parse(url).unwrap());
        assert!(own("https://ats.example/v1", "http://ats.example/cv.pdf"));
        assert!(own("https://ats.example:9443", "http://ats.example:9443/cv.pdf"));
        assert!(!own("https://ats.example", "https://ats.example:9443/cv.pdf"));
        assert!(!own("https://ats.example", "https://files.ats.example/cv.pdf"));
    }

    #[test]
    fn of_two_addresses_on_one_host_the_nearest_is_meant() {
        let home = home("https://ats.example:1/a", &["https://ats.example:2/b", "https://ats.example:1/c"]);
        for (link, moved) in [
            ("https://ats.example:2/b/x", "/a/x"),
            ("http://ats.example/b/x", "/a/x"),
            ("https://ats.example:1/c/x", "/a/x"),
            ("http://ats.example/a/x", "/a/x"),
            ("http://ats.example/d/x", "/d/x"),
        ] {
            let asked = home.follow(home.in_use(), link).unwrap();
            assert_eq!(asked.as_str(), format!("https://ats.example:1{moved}"), "{link}");
        }
    }

    #[test]
    fn next_links_have_a_limit() {
        let home = home("http://ats.example:8001/v1", &[]);
        let current = Url::parse("http://ats.example:8001/v1/people?page=1").unwrap();
        for invalid in [format!("?page={}", "2".repeat(LINK_BYTES_MAX)), "http://[".to_owned()] {
            let error = home.follow(&current, &invalid).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("page_invalid_url"));
        }
    }

    #[test]
    fn links_to_another_address_of_the_source_move_to_the_one_in_use() {
        let home = home("https://b.example/proxy/v1/", &["https://a.example/v1", "https://b.example/old"]);
        for (link, moved) in [
            ("https://a.example/v1/people?after=x%2Fy", "https://b.example/proxy/v1/people?after=x%2Fy"),
            ("https://a.example/v1", "https://b.example/proxy/v1"),
            ("https://a.example/elsewhere", "https://b.example/proxy/v1/elsewhere"),
            ("https://b.example/old/people", "https://b.example/proxy/v1/people"),
            ("https://b.example/proxy/v1/people", "https://b.example/proxy/v1/people"),
            ("https://b.example/proxy/v11", "https://b.example/proxy/v11"),
        ] {
            let current = home.in_use().clone();
            assert_eq!(home.follow(&current, link).unwrap().as_str(), moved, "{link}");
        }
    }

    #[test]
    fn a_path_cannot_change_the_host() {
        let home = home("https://ats.example", &[]);
        assert_eq!(home.at("/people").unwrap().as_str(), "https://ats.example/people");
        for path in ["@evil.example/", ".evil.example/", ":81/"] {
            assert!(home.at(path).is_err(), "{path}");
        }
        for base in ["ftp://a", "https://u:p@a", "https://a?b", "https://a#b", "a", ""] {
            let error = parse_base(base).unwrap_err();
            assert_eq!(error.code().as_deref(), Some("page_invalid_url"), "{base}");
        }
    }
}
