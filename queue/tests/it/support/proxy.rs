//! A way to the server that can fall silent, as a network does that drops packets: nobody is told.

use std::sync::{Arc, Mutex};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions, PgSslMode},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{DEADLINE, until};

/// Passes connections on to a server. They end with this value.
#[derive(Debug)]
pub(crate) struct Proxy {
    options: PgConnectOptions,
    links: Arc<Links>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Links {
    all: Mutex<Vec<Arc<Link>>>,
    /// The first connection on which the client says this falls silent then.
    hush: Mutex<Option<&'static str>>,
}

/// One connection, and all that was said on it.
#[derive(Debug)]
struct Link {
    said: Mutex<Vec<u8>>,
    heard: Mutex<Vec<u8>>,
    is_silent: watch::Sender<bool>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Proxy {
    pub(crate) async fn start(url: &str) -> Self {
        let server: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = match (server.get_socket(), server.get_database()) {
            (Some(_), Some(database)) => {
                PgConnectOptions::new_without_pgpass().username(server.get_username()).database(database)
            }
            _ => server.clone(),
        };
        let port = listener.local_addr().unwrap().port();
        // In the clear, so that what is said can be read.
        let options = base.host("127.0.0.1").port(port).ssl_mode(PgSslMode::Disable);
        let links = Arc::new(Links::default());
        let accepting = tokio::spawn(accept(listener, server, links.clone()));
        Self { options, links, accepting }
    }

    /// A pool on the server behind.
    pub(crate) async fn pool(&self, connections_max: u32) -> PgPool {
        let options = PgPoolOptions::new().max_connections(connections_max).acquire_timeout(DEADLINE);
        options.connect_with(self.options.clone()).await.unwrap()
    }

    /// Lets the connections fall silent that wait for notifications.
    pub(crate) fn silence_listeners(&self) {
        for link in self.links.all.lock().unwrap().iter() {
            if contains(&link.said.lock().unwrap(), "LISTEN ") {
                link.is_silent.send_replace(true);
            }
        }
    }

    /// Lets the next connection fall silent on which the client says `what`; the server still hears that.
    pub(crate) fn silence_after(&self, what: &'static str) {
        *self.links.hush.lock().unwrap() = Some(what);
    }

    /// Lets all that was held up pass.
    pub(crate) fn release(&self) {
        for link in self.links.all.lock().unwrap().iter() {
            link.is_silent.send_replace(false);
        }
    }

    /// Waits until the server has said `what` on some connection.
    pub(crate) async fn until_heard(&self, what: &str) {
        let heard = || async {
            let links = self.links.all.lock().unwrap();
            links.iter().any(|link| contains(&link.heard.lock().unwrap(), what)).then_some(())
        };
        until(&format!("the server has said {what}"), heard).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, server: PgConnectOptions, links: Arc<Links>) {
    let mut pumps = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let Some(server) = connect(&server).await else { continue };
        let link = Arc::new(Link {
            said: Mutex::default(),
            heard: Mutex::default(),
            is_silent: watch::Sender::new(false),
        });
        links.all.lock().unwrap().push(link.clone());
        let (from_client, to_client) = split(client);
        let (from_server, to_server) = split(server);
        let (saying, links) = (link.clone(), links.clone());
        pumps.spawn(pump(from_client, to_server, saying.is_silent.subscribe(), move |chunk| {
            saying.said.lock().unwrap().extend(chunk);
            let mut hush = links.hush.lock().unwrap();
            if hush.is_some_and(|what| contains(chunk, what)) {
                *hush = None;
                saying.is_silent.send_replace(true);
            }
        }));
        pumps.spawn(pump(from_server, to_client, link.is_silent.subscribe(), move |chunk| {
            link.heard.lock().unwrap().extend(chunk);
        }));
    }
}

async fn connect(server: &PgConnectOptions) -> Option<Box<dyn Stream>> {
    Some(match server.get_socket() {
        Some(dir) => {
            let path = dir.join(format!(".s.PGSQL.{}", server.get_port()));
            Box::new(UnixStream::connect(path).await.ok()?)
        }
        None => Box::new(TcpStream::connect((server.get_host(), server.get_port())).await.ok()?),
    })
}

/// Passes on what comes, until one side ends; nothing while the link is silent.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut is_silent: watch::Receiver<bool>,
    note: impl Fn(&[u8]),
) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let _ = is_silent.wait_for(|silent| !silent).await;
        note(&chunk[..count]);
        if to.write_all(&chunk[..count]).await.is_err() {
            break;
        }
    }
    // The end does not come through either.
    let _ = is_silent.wait_for(|silent| !silent).await;
    let _ = to.shutdown().await;
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
