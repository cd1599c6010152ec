use std::{net::IpAddr, net::SocketAddr, time::Duration};

use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::{CallError, address::is_public, home::shown_host};

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until there is a connection. 5 seconds by default: within a data centre it takes milliseconds, across the world
    /// a second.
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

/// The HTTP clients. Two, since what a client may connect to is a matter of its resolver, and so of the client.
pub(crate) struct Clients {
    public: Client,
    any: Client,
}

impl Clients {
    pub(crate) fn new(timeouts: Timeouts) -> Result<Self, reqwest::Error> {
        // Fails when somebody installed a provider before, which then serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Behind a proxy it is the proxy that connects, and nobody here could say where to.
        let public = builder(timeouts).no_proxy().dns_resolver(PublicOnly).build()?;
        Ok(Self { public, any: builder(timeouts).build()? })
    }

    /// The client for calls to this address.
    ///
    /// # Errors
    /// [`CallError::AddressNotAllowed`] when the host is written as an address that may not be called: a resolver is not
    /// asked for those. Names are checked when they are connected to, every time, so that a name cannot be one thing now
    /// and another a moment later.
    pub(crate) fn to(&self, url: &Url, allow_private_network: bool) -> Result<&Client, CallError> {
        if allow_private_network {
            return Ok(&self.any);
        }
        let host = url.host_str().unwrap_or_default();
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
        // Unpacked after it was received, so that the bytes on the wire are known and the threads for I/O do I/O.
        .gzip(false)
}

/// Gives of a name's addresses those of the public internet.
struct PublicOnly;

/// A name has no address of the public internet.
#[derive(Debug, thiserror::Error)]
#[error("the host has no public address")]
pub(crate) struct NotPublic;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's.
            let addresses = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = addresses.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(NotPublic.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
