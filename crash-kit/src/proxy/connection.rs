//! One connection of the worker: passes messages on in both directions until the point.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufWriter, split},
    net::TcpStream,
};

use super::{
    Server,
    dialogue::Dialogue,
    message::{Message, Reader},
    wire::Wire,
};
use crate::Moment;

/// The codes of first messages that are no start of a session (PostgreSQL manual, "Message Formats").
const CANCEL_REQUEST: [u8; 4] = 80877102_u32.to_be_bytes();
const SSL_REQUEST: [u8; 4] = 80877103_u32.to_be_bytes();
const GSS_REQUEST: [u8; 4] = 80877104_u32.to_be_bytes();

/// The answers that are still to come, in order; true for the one that must not arrive.
type Outstanding = Mutex<VecDeque<bool>>;

/// Serves a connection until one end closes it, or the point is reached.
pub(crate) async fn serve(mut client: TcpStream, server: &Server, wire: &Wire) -> io::Result<()> {
    client.set_nodelay(true)?;
    let outage = wire.outage();
    let (from_client, mut to_client) = client.split();
    let mut from_client = Reader::new(from_client);
    let startup = loop {
        let Some(first) = from_client.untyped().await? else { return Ok(()) };
        match first.get(4..8) {
            // The worker is on this machine: no encryption.
            Some(code) if code == SSL_REQUEST || code == GSS_REQUEST => to_client.write_all(b"N").await?,
            _ => break first,
        }
    };
    let (from_server, mut to_server) = split(server.connect().await?);
    to_server.write_all(&startup).await?;
    if startup.get(4..8) == Some(&CANCEL_REQUEST) {
        return Ok(());
    }
    // The server's first answer is to the start.
    let outstanding = Mutex::new(VecDeque::from([false]));
    tokio::select! {
        ended = pass_requests(from_client, to_server, wire, &outstanding) => ended,
        ended = pass_answers(Reader::new(from_server), BufWriter::new(to_client), wire, &outstanding) => ended,
        () = outage => Ok(()),
    }
}

/// Passes on what the worker says. What belongs to one statement goes out in one piece, so that nothing of it
/// has reached the server before its point.
async fn pass_requests(
    mut client: Reader<impl AsyncRead + Unpin>,
    mut server: impl AsyncWrite + Unpin,
    wire: &Wire,
    outstanding: &Outstanding,
) -> io::Result<()> {
    let mut dialogue = Dialogue::default();
    let mut piece = BytesMut::new();
    let mut withhold = false;
    while let Some(message) = client.message().await? {
        dialogue.hear(&message);
        piece.extend_from_slice(&message.raw);
        // Parse, bind, describe, execute, close: the server answers at the next flush or sync.
        if matches!(message.kind, b'P' | b'B' | b'D' | b'E' | b'C') {
            continue;
        }
        match dialogue.take_statement().and_then(|statement| wire.count(statement)) {
            Some(Moment::Before) => {
                wire.strike().await;
                return Ok(());
            }
            Some(Moment::After) => withhold = true,
            None => {}
        }
        wire.pass().await;
        if is_answered_by_ready(&message) {
            let mut outstanding = outstanding.lock().unwrap_or_else(PoisonError::into_inner);
            outstanding.push_back(std::mem::take(&mut withhold));
        }
        server.write_all(&piece).await?;
        piece.clear();
    }
    Ok(())
}

/// Query, sync, function call.
fn is_answered_by_ready(message: &Message) -> bool {
    matches!(message.kind, b'Q' | b'S' | b'F')
}

/// Passes on what the server says, but for the answer that must not arrive: when that is complete, it
/// strikes.
async fn pass_answers(
    mut server: Reader<impl AsyncRead + Unpin>,
    mut client: impl AsyncWrite + Unpin,
    wire: &Wire,
    outstanding: &Outstanding,
) -> io::Result<()> {
    while let Some(message) = server.message().await? {
        let is_ready = message.kind == b'Z';
        let withheld = {
            let mut outstanding = outstanding.lock().unwrap_or_else(PoisonError::into_inner);
            let front = outstanding.front().copied();
            if is_ready {
                outstanding.pop_front();
            }
            front.unwrap_or(false)
        };
        if withheld {
            if is_ready {
                wire.strike().await;
                return Ok(());
            }
            continue;
        }
        wire.pass().await;
        client.write_all(&message.raw).await?;
        if !server.has_message() {
            client.flush().await?;
        }
    }
    Ok(())
}
