//! The system that is called: mock-ats behind a plain HTTP/1.1 front of its own, which adds the headers that
//! tell the limit.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use mock_ats::{Answer, Ats, Face, PageQuery, Settings, Stats};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::AbortHandle,
};

use crate::LIMIT;

/// A system with a limit that can be changed. It is gone with the value.
#[derive(Debug)]
pub(crate) struct System {
    shared: Arc<Shared>,
    address: String,
    task: AbortHandle,
}

struct Shared {
    ats: Ats,
    limit: AtomicU32,
    tells: bool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("limit", &self.limit)
            .field("tells", &self.tells)
            .finish_non_exhaustive()
    }
}

impl System {
    /// Allows [`LIMIT`] calls in any second, answers after 50 to 200 ms and, if it `tells`, names its limit
    /// in each answer.
    pub(crate) async fn start(tells: bool) -> Result<Self> {
        let settings = Settings { calls_per_second: LIMIT, ..Settings::default() };
        let shared = Arc::new(Shared { ats: Ats::new(settings), limit: LIMIT.into(), tells });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(serve(listener, shared.clone())).abort_handle();
        Ok(Self { shared, address, task })
    }

    /// The address of its list.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn set_limit(&self, calls_per_second: u32) {
        self.shared.limit.store(calls_per_second, Ordering::SeqCst);
        self.shared.ats.set_calls_per_second(calls_per_second);
    }

    pub(crate) fn stats(&self) -> Stats {
        self.shared.ats.stats()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        tokio::spawn(async move {
            // A client that is killed in the middle of a call is what this is about.
            let _ = converse(stream, &shared).await;
        });
    }
}

/// Answers one call after the other until the client hangs up.
async fn converse(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let target = head.split(' ').nth(1).context("no target in the request")?;
        let pairs = target.split_once('?').map_or("", |(_, query)| query).split('&');
        let pairs: Vec<(String, String)> = pairs
            .filter_map(|pair| pair.split_once('='))
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let query = PageQuery::from_pairs(pairs)?;
        let Answer::Whole(reply) = shared.ats.answer(Face::TestData, query, "http://localhost").await else {
            return Ok(());
        };
        let mut answer = format!(
            "HTTP/1.1 {} -\r\ncontent-type: {}\r\ncontent-length: {}\r\n",
            reply.status.as_u16(),
            reply.content_type,
            reply.body.len()
        );
        if let Some(seconds) = reply.retry_after_seconds {
            answer += &format!("retry-after: {seconds}\r\n");
        }
        if shared.tells {
            let limit = shared.limit.load(Ordering::SeqCst);
            answer += &format!("ratelimit-policy: \"default\";q={limit};w=1\r\n");
        }
        answer += "\r\n";
        let mut bytes = answer.into_bytes();
        bytes.extend_from_slice(&reply.body);
        stream.write_all(&bytes).await?;
    }
}
