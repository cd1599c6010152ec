use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use poem::{Body, Request, RequestBody, http::header};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef},
};
use resume_core::import::Container;
use std::{pin::Pin, time::Duration};

use crate::{
    body::media_type,
    problem::{Problem, ProblemType},
};

/// The largest file.
pub(super) const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// How much of a larger one is read and thrown away, so that the caller, who is still sending, can hear the reply.
const DRAIN_BYTES: u64 = 16 * 1024 * 1024;

/// How long the sender may send nothing.
const SILENCE_MAX: Duration = Duration::from_secs(30);

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
        let content = Container::ALL.map(|(_, container)| content(container)).into();
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
        Self { stream: Box::pin(body.into_bytes_stream()), announced, read: 0 }
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
        match tokio::time::timeout(SILENCE_MAX, self.stream.next()).await {
            Ok(Some(Ok(chunk))) => {
                self.read += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(Some(Err(_))) => Err(broken("the file broke off; nothing of it is stored")),
            Ok(None) => Ok(None),
            Err(_) => {
                Err(broken("the file does not come on: nothing came for 30 s, and nothing of it is stored"))
            }
        }
    }

    /// Reads some of what is left and throws it away.
    async fn drain(&mut self) {
        let end = self.read.saturating_add(DRAIN_BYTES);
        while self.read < end && matches!(self.chunk().await, Ok(Some(_))) {}
    }
}
