use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use poem::{Body, Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use resume_core::import::Container;
use std::{pin::Pin, time::Duration};
use tokio::time::{Instant, timeout};

use crate::{
    body::media_type,
    problem::{Problem, ProblemType},
};

/// The largest file.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// How much of a larger one is read and thrown away, so that the caller, who is still sending, can hear the
/// reply.
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;

/// For how long that is done.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// How long the sender may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How much has to come in each second that is waited for the sender, beyond that silence: few may send at
/// once, and one who sends a byte now and then would keep others out. The largest file may take four and a
/// half hours so.
const LEAST_BYTES_PER_SECOND: u64 = 64 * 1024;

/// How many bytes are handed on at once.
const PIECE_BYTES: usize = 256 * 1024;

/// A file that is being sent.
pub(super) struct FileBody {
    /// What it is, as its media type says, when that is known.
    pub(super) container: Option<Container>,
    pub(super) pieces: Pieces,
}

/// The bytes of a file, some hundred KiB at once.
pub(super) struct Pieces {
    stream: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
    announced: Option<u64>,
    read: u64,
    /// How long the sender was waited for. What this process takes for the bytes does not count.
    waited: Duration,
}

impl<'a> ApiExtractor<'a> for FileBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn request_meta() -> Option<MetaRequest> {
        let content = |container: Container| MetaMediaType {
            content_type: container.media_type(),
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary"))),
        };
        let content = Container::ALL.map(content).into();
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if request.header(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            let detail = "send the file as it is, without a content encoding";
            return Err(Problem::new(ProblemType::UnsupportedMediaType, detail).into());
        }
        let announced = request.header(header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let container = media_type(request).as_deref().and_then(Container::of_media_type);
        Ok(Self { container, pieces: Pieces::new(body.take()?, announced) })
    }
}

impl Pieces {
    fn new(body: Body, announced: Option<u64>) -> Self {
        Self { stream: Box::pin(body.into_bytes_stream()), announced, read: 0, waited: Duration::ZERO }
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// A problem when the file is too large, breaks off, or does not come.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let mut piece = BytesMut::new();
        while piece.len() < PIECE_BYTES {
            if self.announced.is_some_and(|length| length > MAX_FILE_BYTES) || self.read > MAX_FILE_BYTES {
                self.drain().await;
                let detail = format!("the file has more than {MAX_FILE_BYTES} bytes: send it in parts");
                return Err(Problem::new(ProblemType::BodyTooLarge, detail));
            }
            match self.chunk().await? {
                Some(chunk) => piece.extend_from_slice(&chunk),
                None => break,
            }
        }
        Ok((!piece.is_empty()).then(|| piece.freeze()))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Problem> {
        let broken = |detail: &str| Problem::new(ProblemType::MalformedBody, detail);
        let (asked, patience) = (Instant::now(), self.patience());
        let came = timeout(patience, self.stream.next()).await;
        self.waited += asked.elapsed();
        match came {
            Ok(Some(Ok(chunk))) => {
                self.read += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(Some(Err(_))) => Err(broken("the file broke off; nothing of it is stored")),
            Ok(None) => Ok(None),
            Err(_) if patience == SILENCE_MAX => {
                Err(broken("the file does not come on: nothing came for 30 s, and nothing of it is stored"))
            }
            Err(_) => Err(broken(
                "the file comes too slowly: it has to be 64 KiB a second at least, and nothing of it is stored",
            )),
        }
    }

    /// How long to wait for the next bytes.
    fn patience(&self) -> Duration {
        let earned = Duration::from_secs_f64(self.read as f64 / LEAST_BYTES_PER_SECOND as f64);
        (SILENCE_MAX + earned).saturating_sub(self.waited).min(SILENCE_MAX)
    }

    /// Reads some of what is left and throws it away, before the file is refused.
    pub(super) async fn drain(&mut self) {
        let end = self.read.saturating_add(DRAIN_BYTES);
        let reading = async { while self.read < end && matches!(self.chunk().await, Ok(Some(_))) {} };
        // Who sends so slowly may not hear the reply.
        drop(timeout(DRAIN_MAX, reading).await);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    /// A file that comes in so many chunks of so many bytes, with a pause before each.
    fn pieces(chunks: usize, bytes: usize, pause: Duration) -> Pieces {
        let coming = stream::iter(0..chunks).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![b'\n'; bytes]))
        });
        Pieces::new(Body::from_bytes_stream(coming), None)
    }

    async fn read(mut pieces: Pieces) -> Result<u64, String> {
        loop {
            match pieces.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return Ok(pieces.read),
                Err(problem) => return Err(problem.to_string()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_has_to_come_on() {
        let begun = Instant::now();
        let slow = read(pieces(1_000_000, 1, Duration::from_secs(29))).await.unwrap_err();
        assert!(slow.contains("too slowly") && slow.contains("64 KiB a second"), "{slow}");
        assert!(begun.elapsed() <= Duration::from_secs(31), "{:?}", begun.elapsed());
        let silent = read(pieces(1, 1, Duration::from_secs(3600))).await.unwrap_err();
        assert!(silent.contains("nothing came for 30 s"), "{silent}");
        // A little more than the least, for an hour; and a long pause after much.
        assert_eq!(read(pieces(360, 700_000, Duration::from_secs(10))).await, Ok(252_000_000));
        assert_eq!(read(pieces(2, 4_000_000, Duration::from_secs(29))).await, Ok(8_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_service_takes_is_not_the_senders() {
        let mut pieces = pieces(20, PIECE_BYTES, Duration::from_secs(1));
        while pieces.next().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        assert_eq!(pieces.read, 20 * PIECE_BYTES as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_sender_is_listened_to_for_a_while() {
        let mut fast = pieces(100_000, 1_000_000, Duration::ZERO);
        fast.drain().await;
        assert_eq!(fast.read, 17_000_000, "the chunk with the last of 16 MiB included");
        let begun = Instant::now();
        pieces(100_000, 1, Duration::from_millis(100)).drain().await;
        assert_eq!(begun.elapsed(), DRAIN_MAX);
    }
}
