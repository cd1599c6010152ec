use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use poem::{
    Server,
    http::uri::Scheme,
    listener::{Acceptor, TcpAcceptor},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::oneshot,
    task::JoinHandle,
};

use crate::{Ats, app};

/// An [`Ats`] that serves HTTP on an address of its own, for as long as this value lives. Dropping it closes
/// the port and cuts every open connection, calls in progress too.
pub struct MockServer {
    ats: Ats,
    address: SocketAddr,
    // In this order: the sender must go first when both are dropped, for its going is the signal.
    shutdown: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl MockServer {
    /// Serves on a free port of 127.0.0.1. Must be called within a tokio runtime, which the server then lives
    /// in.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(ats: Ats) -> io::Result<Self> {
        Self::bind(ats, (Ipv4Addr::LOCALHOST, 0)).await
    }

    /// Serves on `address`; otherwise as [`MockServer::start`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn bind(ats: Ats, address: impl ToSocketAddrs) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = Server::new_with_acceptor(NoDelay(TcpAcceptor::from_tokio(listener)?)).name("mock-ats");
        let (shutdown, dropped) = oneshot::channel::<()>();
        let app = app(ats.clone());
        let task = tokio::spawn(async move {
            let signal = async { drop(dropped.await) };
            // Calls that hang would never end, so none is waited for.
            if let Err(error) = server.run_with_graceful_shutdown(app, signal, Some(Duration::ZERO)).await {
                tracing::error!(%error, "the server ended");
            }
        });
        Ok(Self { ats, address, shutdown, task })
    }

    /// Scheme, host and port, without a trailing slash: `http://127.0.0.1:40123`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address that is served.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The system behind it: its numbers, its faults and its limit.
    pub fn ats(&self) -> &Ats {
        &self.ats
    }

    /// Does what dropping does, and returns when the port is free again, so that another can be bound to it.
    pub async fn stop(self) {
        drop(self.shutdown);
        // It ends without a value; a panic in it was reported by the panic hook.
        drop(self.task.await);
    }
}

/// Switches Nagle's algorithm off, which poem 3.1 leaves on: it would hold back the end of a large page for
/// the client's delayed acknowledgement, up to 40 ms.
struct NoDelay(TcpAcceptor);

impl Acceptor for NoDelay {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        let accepted = self.0.accept().await?;
        accepted.0.set_nodelay(true)?;
        Ok(accepted)
    }
}
