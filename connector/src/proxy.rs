//! The proxy that calls to public hosts go through, where there is one.

use std::{error::Error as _, io};

use reqwest::{Proxy, Url};

/// Names the proxy for all sources, or `none`; it counts more than the usual variables.
const OWN: &str = "RESUME_PROXY";

/// The proxies of this process, as its environment names them. Loopback and private addresses are called
/// directly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    /// Hosts that are called directly, with all below them.
    except: Vec<String>,
}

/// A variable that names no proxy which can be used.
#[derive(Debug, thiserror::Error)]
#[error("the variable {variable} is no address of a proxy: write http://HOST:PORT, or https://HOST:PORT")]
pub struct InvalidProxy {
    variable: String,
}

impl Proxies {
    /// # Errors
    /// [`InvalidProxy`] for an address that is none, or of another kind of proxy.
    pub(crate) fn from_env() -> Result<Self, InvalidProxy> {
        Self::read(|name| std::env::var(name).ok())
    }

    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let first = |names: &[&str]| {
            let found = names.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
            let mut found = found.filter_map(|name| Some((variable(&name)?.trim().to_owned(), name)));
            found.find(|(value, _)| !value.is_empty())
        };
        let except = first(&["NO_PROXY"]).map(|(hosts, _)| {
            let hosts =
                hosts.split(',').map(|host| host.trim().trim_start_matches("*.").trim_start_matches('.'));
            hosts.filter(|host| !host.is_empty()).map(str::to_lowercase).collect()
        });
        let except: Vec<String> = except.unwrap_or_default();
        let proxy = |names: &[&str]| first(names).map(parse).transpose();
        Ok(match first(&[OWN]) {
            Some((value, _)) if value == "none" => Self::default(),
            Some(own) => {
                let own = parse(own)?;
                Self { http: Some(own.clone()), https: Some(own), except }
            }
            None => Self {
                http: proxy(&["HTTP_PROXY", "ALL_PROXY"])?,
                https: proxy(&["HTTPS_PROXY", "ALL_PROXY"])?,
                except,
            },
        })
    }

    /// The proxy for calls to an address.
    pub(crate) fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { &self.https } else { &self.http };
        let host = url.host_str().unwrap_or_default();
        let is_below = |name: &String| {
            let left = host.strip_suffix(name.as_str());
            name == "*" || left.is_some_and(|left| left.is_empty() || left.ends_with('.'))
        };
        proxy.as_ref().filter(|_| !self.except.iter().any(is_below))
    }

    /// Whether a name is that of a proxy. Those are in private networks, mostly.
    pub(crate) fn has(&self, host: &str) -> bool {
        [&self.http, &self.https].into_iter().flatten().any(|proxy| proxy.host_str() == Some(host))
    }

    pub(crate) fn for_client(&self) -> Proxy {
        let proxies = self.clone();
        Proxy::custom(move |url| proxies.of(url).cloned())
    }
}

fn parse((value, variable): (String, String)) -> Result<Url, InvalidProxy> {
    let text = if value.contains("://") { value } else { format!("http://{value}") };
    let url = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or(InvalidProxy { variable })
}

/// Whether the proxy itself was not reached: what is behind it fails in other ways, for it answers then.
pub(crate) fn is_unreachable(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(inner) = cause {
        let kind = inner.downcast_ref::<io::Error>().map(io::Error::kind);
        let is_tcp = inner.to_string().starts_with("tcp connect error");
        if is_tcp
            || inner.to_string().starts_with("dns error")
            || kind == Some(io::ErrorKind::ConnectionRefused)
        {
            return true;
        }
        cause = inner.source();
    }
    error.is_connect() && error.is_timeout()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, InvalidProxy> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        Proxies::read(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    fn of(variables: &[(&str, &str)], url: &str) -> Option<String> {
        proxies(variables).unwrap().of(&Url::parse(url).unwrap()).map(|proxy| proxy.as_str().to_owned())
    }

    #[test]
    fn the_environment_names_them() {
        let https = "https://api.example/x";
        assert_eq!(of(&[], https), None);
        let usual =
            [("HTTPS_PROXY", "http://p:1"), ("http_proxy", "q:2"), ("NO_PROXY", "a.example, .b.example")];
        assert_eq!(of(&usual, https).as_deref(), Some("http://p:1/"));
        assert_eq!(of(&usual, "http://api.example").as_deref(), Some("http://q:2/"));
        for direct in ["https://a.example", "https://x.a.example", "https://x.b.example"] {
            assert_eq!(of(&usual, direct), None, "{direct}");
        }
        assert!(of(&usual, "https://ba.example").is_some());
        assert_eq!(of(&[("ALL_PROXY", "http://p:1")], https).as_deref(), Some("http://p:1/"));
        assert_eq!(of(&[("HTTPS_PROXY", ""), ("HTTP_PROXY", "http://p:1")], https), None);
        let own = [usual.as_slice(), &[("RESUME_PROXY", "http://me:pw@own:3")]].concat();
        assert_eq!(of(&own, https).as_deref(), Some("http://me:pw@own:3/"));
        assert_eq!(of(&own, "http://a.example"), None);
        assert_eq!(of(&[usual.as_slice(), &[("RESUME_PROXY", "none")]].concat(), https), None);
        assert_eq!(of(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", "*")], https), None);
    }

    #[test]
    fn what_is_no_proxy_is_named() {
        for (variable, value) in
            [("RESUME_PROXY", "socks5://p:1"), ("HTTPS_PROXY", "http://"), ("ALL_PROXY", "a b")]
        {
            let error = proxies(&[(variable, value)]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the variable {variable} is no address")), "{error}");
        }
    }
}
