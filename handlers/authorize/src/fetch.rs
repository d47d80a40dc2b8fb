//! A document of the issuer's, fetched with the HTTP client that the SDK is on.

use std::str;

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::HttpConnector, orchestrator::HttpRequest, result::ConnectorError,
};
use aws_smithy_types::byte_stream::{ByteStream, error::Error as StreamError};

use crate::url::SafeUrl;

/// The most that is read, in bytes: keys take a few thousand.
const MAX_BYTES: usize = 256 * 1024;

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nobody answered.
    #[error("there was no answer")]
    Connector(#[from] ConnectorError),
    /// The answer was another than 200; redirections are not followed.
    #[error("the answer was {0}")]
    Status(u16),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[from] StreamError),
    /// The answer is far too long.
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    /// The answer is no text.
    #[error("the answer is no text")]
    NoText(#[from] str::Utf8Error),
}

/// A client for documents.
#[derive(Debug)]
pub(crate) struct Fetcher(Connector);

impl Fetcher {
    pub(crate) fn new() -> Self {
        Self(Connector::builder().tls_provider(Provider::Rustls(CryptoMode::Ring)).build())
    }

    /// The document at this URL. It takes as long as it takes: the caller sets the limit.
    pub(crate) async fn get(&self, url: &SafeUrl) -> Result<String, FetchError> {
        let request = HttpRequest::get(url.as_str()).map_err(|error| ConnectorError::user(error.into()))?;
        let response = self.0.call(request).await?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let (mut body, mut document) = (ByteStream::new(response.into_body()), Vec::new());
        while let Some(chunk) = body.try_next().await? {
            document.extend_from_slice(&chunk);
            if document.len() > MAX_BYTES {
                return Err(FetchError::TooLong);
            }
        }
        Ok(str::from_utf8(&document)?.to_owned())
    }
}
