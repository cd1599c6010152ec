use std::{io, net::SocketAddr, time::Duration};

use poem::{
    EndpointExt, Server,
    http::uri::Scheme,
    listener::{Acceptor, TcpAcceptor},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    net::{TcpListener, TcpStream, ToSocketAddrs},
    sync::watch,
};

use crate::App;

/// How long requests in progress may go on after the signal to stop. Every one that is not stuck ends well
/// within.
const GRACE: Duration = Duration::from_secs(10);

/// When a silent connection is closed: later than clients let go of theirs (reqwest 90 s), so that none is
/// closed at the moment it is used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// The pause after a connection could not be accepted, for want of file descriptors mostly: it would fail
/// again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that is open: clients can connect, and are answered once it is served.
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Opens a port. Port 0 takes a free one.
///
/// # Errors
/// When the address cannot be bound.
pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// The address, with the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready and the requests in progress have ended, for up to ten seconds more.
    ///
    /// # Errors
    /// When the port cannot be served.
    pub async fn serve(self, app: App, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let (stop, stopping) = watch::channel(());
        let shutdown = async move {
            shutdown.await;
            drop(stop);
        };
        Server::new_with_acceptor(NoDelay(TcpAcceptor::from_tokio(self.listener)?))
            .name("resume-api")
            .idle_timeout(IDLE_TIMEOUT)
            .run_with_graceful_shutdown(app.data(Stopping(stopping)), shutdown, Some(GRACE))
            .await
    }
}

/// Tells replies that never end that the server stops: a reason to end. Every request has it.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(watch::Receiver<()>);

impl Stopping {
    /// Waits until the server stops.
    pub(crate) async fn stopped(&mut self) {
        // Nothing is ever sent: what changes is that the sender is gone.
        let _ = self.0.changed().await;
    }
}

/// Switches Nagle's algorithm off, which poem 3.1 leaves on: it would hold back the end of a reply for the
/// client's delayed acknowledgement, up to 40 ms.
struct NoDelay(TcpAcceptor);

impl Acceptor for NoDelay {
    type Io = TcpStream;

    fn local_addr(&self) -> Vec<LocalAddr> {
        self.0.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(Self::Io, LocalAddr, RemoteAddr, Scheme)> {
        match self.0.accept().await {
            Ok(accepted) => {
                accepted.0.set_nodelay(true)?;
                Ok(accepted)
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                Err(error)
            }
        }
    }
}
