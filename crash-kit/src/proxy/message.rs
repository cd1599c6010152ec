//! The messages of the protocol, as far as the proxy has to know them: PostgreSQL manual, "Message Formats".

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The largest message that is passed on; PostgreSQL takes no larger ones.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// One message after the start of a session.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its type.
    pub(crate) kind: u8,
    /// All of it, as it came.
    pub(crate) raw: Bytes,
}

impl Message {
    /// What follows type and length.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields(&self.raw[5..])
    }
}

/// Reads messages from one side.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    io: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(io: R) -> Self {
        Self { io, buffer: BytesMut::with_capacity(8 * 1024) }
    }

    /// The next message; `None` when the other end has closed.
    pub(crate) async fn message(&mut self) -> io::Result<Option<Message>> {
        let Some(raw) = self.frame(1).await? else { return Ok(None) };
        Ok(Some(Message { kind: raw[0], raw }))
    }

    /// The next message of the start of a session, which has no type.
    pub(crate) async fn untyped(&mut self) -> io::Result<Option<Bytes>> {
        self.frame(0).await
    }

    /// Whether the next message is here already.
    pub(crate) fn has_message(&self) -> bool {
        self.length(1).is_some_and(|length| self.buffer.len() >= length)
    }

    /// The length of the next message with the `prefix` before its length field.
    fn length(&self, prefix: usize) -> Option<usize> {
        let field = self.buffer.get(prefix..prefix + 4)?;
        let length = u32::from_be_bytes(field.try_into().ok()?);
        Some(prefix + length as usize)
    }

    async fn frame(&mut self, prefix: usize) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(length) = self.length(prefix) {
                if !(prefix + 4..=MESSAGE_BYTES_MAX).contains(&length) {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "not a message of PostgreSQL"));
                }
                if self.buffer.len() >= length {
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
            }
            if self.io.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}

/// The fields of a message, read one after the other; `None` where it has no such field.
#[derive(Debug)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let text = std::str::from_utf8(&self.0[..end]).ok()?;
        self.0 = &self.0[end + 1..];
        Some(text)
    }

    pub(crate) fn int16(&mut self) -> Option<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn int32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// A value with its length before it; an empty one for null.
    pub(crate) fn value(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.int32()?).unwrap_or(0);
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn messages_are_found_in_whatever_pieces_they_come() {
        let parse = b"P\0\0\0\x17s1\0select $1\0\0\x01\0\0\0\x19";
        let bytes = [parse.as_slice(), b"S\0\0\0\x04"].concat();
        for piece in 1..bytes.len() {
            let (mut near, far) = tokio::io::duplex(64);
            for part in bytes.chunks(piece) {
                near.write_all(part).await.unwrap();
            }
            drop(near);
            let mut reader = Reader::new(far);
            let message = reader.message().await.unwrap().unwrap();
            assert_eq!((message.kind, &message.raw[..]), (b'P', parse.as_slice()));
            let mut fields = message.fields();
            assert_eq!((fields.text(), fields.text()), (Some("s1"), Some("select $1")));
            assert_eq!((fields.int16(), fields.int32(), fields.int16()), (Some(1), Some(25), None));
            assert_eq!(reader.message().await.unwrap().unwrap().kind, b'S');
            assert!(reader.message().await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        let mut reader = Reader::new(b"GET / HTTP/1.1\r\n\r\n".as_slice());
        assert_eq!(reader.message().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
