//! Asks a server, in its own protocol, whether it takes connections.
//!
//! A pid file survives `kill -9`, and a socket that accepts may belong to a server that is still recovering
//! or already stopping. So we ask as `PQping` of libpq does: send a start-up packet and look at the kind of
//! answer. (`pg_isready` would do it too, but is not part of every distribution.)

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use crate::root::SOCKET_FILE;

/// Version 3.0, which every supported server speaks.
/// Source: Postgres documentation, "Message Formats", `StartupMessage`.
const PROTOCOL_VERSION: u32 = 196_608;

/// `cannot_connect_now`: starting up, shutting down or recovering. The field is `C`, the end of a field a
/// zero. Source: Postgres documentation, "Error Codes", class 57, and "Error and Notice Message Fields".
const CANNOT_CONNECT_NOW: &[u8] = b"C57P03\0";

/// How long a server may take to answer. A healthy one needs about 2 ms; a machine may be busy.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a server says to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It takes connections.
    Up,
    /// Something listens there, but it is starting, stopping or does not answer: ask again.
    Busy,
    /// Nobody listens.
    Down,
}

/// Asks the server with its socket in `socket_dir`. Blocking, for up to ten seconds when the server hangs.
///
/// # Errors
/// When the socket cannot be used at all, e.g. for lack of permission.
pub(crate) fn ping(socket_dir: &Path) -> io::Result<Answer> {
    let stream = match UnixStream::connect(socket_dir.join(SOCKET_FILE)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(Answer::Down),
                // The queue of the listening socket is full.
                ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(Answer::Busy),
                _ => Err(error),
            };
        }
    };
    // An error from here on is a server that went away or hangs.
    Ok(converse(stream).unwrap_or(Answer::Busy))
}

fn converse(mut stream: UnixStream) -> io::Result<Answer> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))?;
    let parameters = b"user\0postgres\0database\0postgres\0application_name\0resume-service ping\0\0";
    let length = u32::try_from(8 + parameters.len()).unwrap_or(u32::MAX);
    let mut message = Vec::from(length.to_be_bytes());
    message.extend(PROTOCOL_VERSION.to_be_bytes());
    message.extend(parameters);
    stream.write_all(&message)?;

    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    let mut rest = Vec::new();
    if kind == *b"E" {
        stream.read_to_end(&mut rest)?;
        let busy = rest.windows(CANNOT_CONNECT_NOW.len()).any(|field| field == CANNOT_CONNECT_NOW);
        // Any other refusal, e.g. too many connections, comes from a server that is up.
        return Ok(if busy { Answer::Busy } else { Answer::Up });
    }
    // Take leave with `Terminate` and hear the server out, or it logs a broken connection. Whether that works
    // is not the question.
    let _ = stream.write_all(b"X\0\0\0\x04").and_then(|()| stream.read_to_end(&mut rest));
    Ok(Answer::Up)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, path::PathBuf, thread, time::Instant};

    use super::*;

    /// Runs a server that answers one connection with `reply`, and pings it.
    fn answer_to(name: &str, reply: &'static [u8]) -> Answer {
        let directory = std::env::temp_dir().join(format!("resume-ping-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let listener = UnixListener::bind(directory.join(SOCKET_FILE)).unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut length = [0; 4];
            stream.read_exact(&mut length).unwrap();
            let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
            stream.read_exact(&mut rest).unwrap();
            stream.write_all(reply).unwrap();
        });
        let answer = ping(&directory).unwrap();
        server.join().unwrap();
        // The listener is gone, its file is not: as after a `kill -9`. A program that another test is just
        // starting may still have it open for a moment.
        let start = Instant::now();
        while ping(&directory).unwrap() != Answer::Down {
            assert!(start.elapsed() < Duration::from_secs(10), "it is still there");
            thread::sleep(Duration::from_millis(5));
        }
        fs::remove_dir_all(directory).unwrap();
        answer
    }

    #[test]
    fn a_server_is_up_when_it_lets_us_in_or_refuses_for_another_reason_than_its_state() {
        assert_eq!(answer_to("in", b"R\0\0\0\x08\0\0\0\0"), Answer::Up);
        assert_eq!(answer_to("full", b"E\0\0\0\x20SFATAL\0C53300\0Mtoo many\0\0"), Answer::Up);
    }

    #[test]
    fn a_server_that_starts_or_hangs_up_is_busy() {
        assert_eq!(answer_to("starting", b"E\0\0\0\x20SFATAL\0C57P03\0Mstarting up\0\0"), Answer::Busy);
        assert_eq!(answer_to("hang-up", b""), Answer::Busy);
    }

    #[test]
    fn without_a_socket_the_server_is_down() {
        assert_eq!(ping(&PathBuf::from("/nonexistent")).unwrap(), Answer::Down);
    }
}
