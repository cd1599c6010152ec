use bytes::Bytes;
use poem::http::{HeaderMap, Method};

/// One HTTP call of an [`Api`](crate::Api), free of any transport.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query as they came, with the prefix.
    pub url: String,
    /// Scheme, host and prefix, such as `http://127.0.0.1:8000/mock/lever`; next links are built from it.
    pub base_url: String,
    /// The path behind the prefix, with its first slash.
    pub path: String,
    /// The parameters, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}
