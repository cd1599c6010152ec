use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Definition;

/// The placeholder in an address for the id of a person.
const ID: &str = "{id}";

/// People who are known: those whose resumes, of other sources, have a link to the system. In place of
/// `list`: nobody else is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Known {
    /// What such a link looks like, with `{id}` in place of the one part of its path that is the id:
    /// `https://github.com/{id}`. The scheme, a `www.`, the case of the host, a slash at the end and what
    /// follows a `?` or `#` do not matter.
    pub url: String,
}

/// An address without what does not matter.
struct Link<'a> {
    host: String,
    parts: Vec<&'a str>,
}

impl<'a> Link<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let is_web = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        let (host, path) = rest.split(['?', '#']).next()?.split_once('/')?;
        let host = host.to_ascii_lowercase();
        let host = host.strip_prefix("www.").unwrap_or(&host).to_owned();
        let path = path.strip_suffix('/').unwrap_or(path);
        (is_web && !host.is_empty()).then(|| Self { host, parts: path.split('/').collect() })
    }
}

impl Known {
    /// Whether it says what a link looks like: an address with one part of its path that is `{id}`.
    pub(super) fn is_valid(&self) -> bool {
        let is_plain = |part: &&str| !part.is_empty() && !part.contains(['{', '}']);
        Link::of(&self.url).is_some_and(|link| {
            let others: Vec<&&str> = link.parts.iter().filter(|part| **part != ID).collect();
            others.len() + 1 == link.parts.len()
                && others.into_iter().all(is_plain)
                && !link.host.contains(['{', '}', '@', ' '])
        })
    }

    /// The host that links lead to, in lower case and without `www.`.
    pub fn host(&self) -> String {
        Link::of(&self.url).map_or_else(String::new, |link| link.host)
    }

    /// The id in a link, if it is one of these.
    pub fn id_in(&self, url: &str) -> Option<String> {
        let (wanted, link) = (Link::of(&self.url)?, Link::of(url)?);
        if wanted.host != link.host || wanted.parts.len() != link.parts.len() {
            return None;
        }
        let mut id = None;
        for (wanted, part) in wanted.parts.into_iter().zip(link.parts) {
            match wanted {
                ID => id = Some(part.to_owned()).filter(|id| !id.is_empty()),
                wanted if wanted == part => {}
                _ => return None,
            }
        }
        id
    }
}

impl Definition {
    /// Whether a call can be made of which nobody need be known.
    pub fn has_first_call(&self) -> bool {
        !self.is_of_files() && self.known.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(url: &str) -> Known {
        Known { url: url.to_owned() }
    }

    #[test]
    fn links_lead_to_the_same_person_however_they_are_written() {
        let github = known("https://github.com/{id}");
        for url in [
            "https://github.com/ada",
            "http://github.com/ada/",
            "HTTPS://www.GitHub.com/ada",
            " https://github.com/ada?tab=repositories#top",
        ] {
            assert_eq!(github.id_in(url).as_deref(), Some("ada"), "{url}");
        }
        assert_eq!(github.host(), "github.com");
        let staff = known("https://www.example.org/staff/{id}/cv");
        assert_eq!(staff.id_in("http://example.org/staff/7/cv/").as_deref(), Some("7"));
        assert_eq!(staff.id_in("http://example.org/guests/7/cv/"), None);
    }

    #[test]
    fn other_links_are_nobody_s() {
        let github = known("https://github.com/{id}");
        for url in [
            "",
            "ada",
            "github.com/ada",
            "ftp://github.com/ada",
            "https://github.com",
            "https://github.com/",
            "https://github.com//",
            "https://github.com/ada/engine",
            "https://gist.github.com/ada",
            "https://github.com.evil.example/ada",
            "https://ada@github.com/ada",
            "https://evil.example/https://github.com/ada",
        ] {
            assert_eq!(github.id_in(url), None, "{url}");
        }
    }

    #[test]
    fn an_address_has_one_id() {
        for url in ["https://github.com/{id}", "http://a.b/x/{id}/", "https://a.b/{id}/cv"] {
            assert!(known(url).is_valid(), "{url}");
        }
        for url in [
            "",
            "github.com/{id}",
            "https://{id}.github.io/",
            "https://github.com/",
            "https://github.com/ada",
            "https://github.com/@{id}",
            "https://github.com/{id}/{id}",
            "https://github.com//{id}",
            "https://github.com/{parent}/{id}",
            "https://github.com/?user={id}",
        ] {
            assert!(!known(url).is_valid(), "{url}");
        }
    }
}
