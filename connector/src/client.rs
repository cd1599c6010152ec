use std::{net::IpAddr, net::SocketAddr, time::Duration};

use reqwest::{
    Client, ClientBuilder, Request, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::{
    CallError,
    address::is_public,
    error::NotPublic,
    home::shown_host,
    proxy::{InvalidProxy, Proxies, is_unreachable},
};

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection. 5 seconds by default: within a data centre it takes milliseconds, across
    /// the world a second.
    pub connect: Duration,
    /// The longest silence before and in the middle of an answer; 10 seconds by default.
    pub read: Duration,
    /// In all; 30 seconds by default. A page of a thousand items from a slow source takes some seconds.
    pub call: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), read: Duration::from_secs(10), call: Duration::from_secs(30) }
    }
}

/// Why there are no HTTP clients.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// TLS cannot be set up, as without any root certificate.
    #[error("TLS cannot be set up")]
    Tls(#[from] reqwest::Error),
    /// A variable names no proxy.
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
}

/// The HTTP clients. Two, since what a client may connect to is a matter of its resolver, and so of the
/// client.
pub(crate) struct Clients {
    public: Http,
    any: Http,
    proxies: Proxies,
}

/// A client, and the proxies that it uses.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) client: Client,
    proxies: Proxies,
}

impl Http {
    /// Sends a request, once.
    ///
    /// # Errors
    /// What kept it from getting an answer.
    pub(crate) async fn execute(&self, request: Request) -> Result<Response, CallError> {
        let host = shown_host(request.url());
        let proxy = self.proxies.of(request.url()).map(shown_host);
        self.client.execute(request).await.map_err(|error| match proxy {
            Some(proxy) if is_unreachable(&error) => {
                CallError::ProxyUnreachable { proxy, source: error.without_url() }
            }
            _ => CallError::of_transport(error, &host),
        })
    }
}

impl Clients {
    pub(crate) fn new(timeouts: Timeouts, proxies: Proxies) -> Result<Self, SetupError> {
        // Fails when somebody installed a provider before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let public = builder(timeouts).no_proxy().proxy(proxies.for_client());
        let public = public.dns_resolver(PublicOnly(proxies.clone())).build()?;
        let any = builder(timeouts).no_proxy().build()?;
        Ok(Self {
            public: Http { client: public, proxies: proxies.clone() },
            any: Http { client: any, proxies: Proxies::default() },
            proxies,
        })
    }

    /// The client for calls to this address.
    ///
    /// # Errors
    /// [`CallError::AddressNotAllowed`] when the host is written as an address that may not be called: a
    /// resolver is not asked for those. Names are checked when they are connected to, every time, so that a
    /// name cannot be one thing now and another a moment later. Behind a proxy it is the proxy that connects,
    /// and nobody here can say where to: names of this machine, and that of the proxy, are refused before.
    pub(crate) fn to(&self, url: &Url, allow_private_network: bool) -> Result<&Http, CallError> {
        if allow_private_network {
            return Ok(&self.any);
        }
        let host = url.host_str().unwrap_or_default().trim_end_matches('.');
        let is_local = host == "localhost" || host.ends_with(".localhost");
        if self.proxies.has(host) || is_local && self.proxies.of(url).is_some() {
            return Err(CallError::AddressNotAllowed { host: shown_host(url) });
        }
        match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            Ok(address) if !is_public(address) => Err(CallError::AddressNotAllowed { host: shown_host(url) }),
            _ => Ok(&self.public),
        }
    }
}

fn builder(timeouts: Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("resume-service/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.read)
        .timeout(timeouts.call)
        // A redirect could lead anywhere, and each hop would be a call that nobody counts.
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        // Unpacked after it was received, so that the bytes on the wire are known and the threads for I/O do
        // I/O.
        .gzip(false)
}

/// Gives of a name's addresses those of the public internet; of a proxy's, all.
struct PublicOnly(Proxies);

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let is_proxy = self.0.has(name.as_str());
        Box::pin(async move {
            // The port is the URL's.
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> =
                addresses.filter(|address| is_proxy || is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Clients whose calls go through a proxy at this address.
    fn clients(proxy: SocketAddr) -> Clients {
        let proxies =
            Proxies::read(|name| (name == "RESUME_PROXY").then(|| format!("http://{proxy}"))).unwrap();
        Clients::new(Timeouts::default(), proxies).unwrap()
    }

    async fn get(clients: &Clients, url: &str) -> Result<Response, CallError> {
        let url = Url::parse(url).unwrap();
        let http = clients.to(&url, false)?;
        http.execute(http.client.get(url).build().unwrap()).await
    }

    fn code(result: Result<Response, CallError>) -> String {
        result.unwrap_err().code().unwrap()
    }

    #[tokio::test]
    async fn public_hosts_are_called_through_the_proxy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clients = clients(listener.local_addr().unwrap());
        let proxy = tokio::spawn(async move {
            let mut lines = Vec::new();
            for answer in ["HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 502 Nobody There\r\n\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = vec![0; 4096];
                let read = stream.read(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                lines.push(text.lines().next().unwrap_or_default().to_owned());
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            lines
        });
        assert_eq!(get(&clients, "http://ats.invalid/people?page=1").await.unwrap().status(), 204);
        assert_eq!(
            code(get(&clients, "https://ats.invalid/").await),
            "source_unreachable",
            "it has answered"
        );
        let lines = proxy.await.unwrap();
        assert_eq!(
            lines,
            ["GET http://ats.invalid/people?page=1 HTTP/1.1", "CONNECT ats.invalid:443 HTTP/1.1"]
        );
        for private in [
            "http://127.0.0.1/",
            "http://10.1.2.3/",
            "http://[::1]/",
            "http://localhost/",
            "http://a.localhost./",
        ] {
            assert_eq!(code(get(&clients, private).await), "address_not_allowed", "{private}");
        }
    }

    #[tokio::test]
    async fn a_proxy_that_is_away_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clients = clients(listener.local_addr().unwrap());
        drop(listener);
        for url in ["http://ats.invalid/", "https://ats.invalid/"] {
            assert_eq!(code(get(&clients, url).await), "proxy_unreachable", "{url}");
        }
    }
}
