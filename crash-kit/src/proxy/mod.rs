//! A proxy that speaks PostgreSQL's protocol: it stands between a worker and the server, and counts
//! statements.

mod connection;
mod dialogue;
mod message;
mod name;
mod wire;

use std::{collections::BTreeMap, io, net::Ipv4Addr, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, anyhow};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    task::{JoinHandle, JoinSet},
};

use crate::{Point, Statement};
use wire::Wire;

/// A proxy for one worker, on a port of its own. It closes everything when it is dropped.
#[derive(Debug)]
pub(crate) struct Proxy {
    url: String,
    wire: Arc<Wire>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens for a worker of the database at `url`; strikes at the point that is armed.
    pub(crate) async fn start(url: &str, armed: Option<Point>) -> Result<Self> {
        let options: PgConnectOptions = url.parse().context("the address of the database")?;
        let server = Server::of(&options);
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("opening the proxy's port")?;
        let mut own = options.to_url_lossy();
        own.set_host(Some("127.0.0.1"))?;
        own.set_port(Some(listener.local_addr()?.port())).map_err(|()| anyhow!("{own} takes no port"))?;
        own.set_query(Some("sslmode=disable"));
        let wire = Arc::new(Wire::new(armed));
        let task = tokio::spawn(accept(listener, server, wire.clone()));
        Ok(Self { url: own.into(), wire, task })
    }

    /// The address of the database through this proxy.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Resolves when the worker is to be killed. Nothing of what it says gets through from then on.
    pub(crate) async fn aborted(&self) {
        self.wire.aborted().await;
    }

    /// Whether the armed point was reached.
    pub(crate) fn is_struck(&self) -> bool {
        self.wire.is_struck()
    }

    /// How often each statement was sent so far.
    pub(crate) fn counts(&self) -> BTreeMap<Statement, u32> {
        self.wire.counts().iter().map(|(statement, count)| (statement.clone(), *count)).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: Server, wire: Arc<Wire>) {
    // Its connections are closed with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else { return };
        let (server, wire) = (server.clone(), wire.clone());
        connections.spawn(async move {
            if let Err(error) = connection::serve(client, &server, &wire).await {
                tracing::debug!(%error, "a connection broke");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Where the server is.
#[derive(Debug, Clone)]
enum Server {
    Socket(PathBuf),
    Tcp(String, u16),
}

impl Server {
    fn of(options: &PgConnectOptions) -> Self {
        // A host that is a path is the directory of a socket, as libpq has it.
        match options.get_socket() {
            Some(folder) => Self::Socket(folder.join(format!(".s.PGSQL.{}", options.get_port()))),
            None => Self::Tcp(options.get_host().to_owned(), options.get_port()),
        }
    }

    async fn connect(&self) -> io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Socket(path) => Box::new(UnixStream::connect(path).await?),
            Self::Tcp(host, port) => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }
}

trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}
