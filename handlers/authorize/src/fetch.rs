//! Fetches an issuer's documents with the SDK's HTTP client.

use std::{net::IpAddr, str};

use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::HttpConnector,
    orchestrator::HttpRequest,
    result::ConnectorError,
};
use aws_smithy_types::byte_stream::{ByteStream, error::Error as StreamError};
use tokio::net::lookup_host;

use crate::url::{SafeUrl, is_internal, is_local_name};

/// The maximum size of a document, in bytes. Keys take a few thousand.
const MAX_BYTES: usize = 256 * 1024;

/// The reason why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There was no answer.
    #[error("there was no answer")]
    Connector(#[from] ConnectorError),
    /// The status was not 200. Redirects are not followed.
    #[error("the answer was {0}")]
    Status(u16),
    /// The answer broke off.
    #[error("the answer broke off")]
    Body(#[from] StreamError),
    /// The answer is far too long.
    #[error("the answer has more than {MAX_BYTES} bytes")]
    TooLong,
    /// The answer is not text.
    #[error("the answer is no text")]
    NoText(#[from] str::Utf8Error),
}

/// An HTTP client for documents.
#[derive(Debug)]
pub(crate) struct Fetcher(Connector);

impl Fetcher {
    pub(crate) fn new() -> Self {
        Self(
            Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build_with_resolver(Resolver),
        )
    }

    /// Fetches the document at this URL. It has no time limit: the caller sets one.
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

/// Resolves a name, and refuses it if it leads to an internal address. The owner of a name can point it at any address.
#[derive(Clone, Copy, Debug)]
struct Resolver;

/// A name leads to an address that only this machine reaches.
#[derive(Debug, thiserror::Error)]
#[error("{name:?} leads to the internal address {address}")]
struct Internal {
    name: String,
    address: IpAddr,
}

impl Resolver {
    async fn resolve(name: &str) -> Result<Vec<IpAddr>, ResolveDnsError> {
        let found = lookup_host((name, 0)).await.map_err(ResolveDnsError::new)?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        // `SafeUrl` has already allowed the local names of this machine.
        match addresses.iter().find(|address| is_internal(**address) && !is_local_name(name)) {
            Some(address) => Err(ResolveDnsError::new(Internal { name: name.to_owned(), address: *address })),
            None => Ok(addresses),
        }
    }
}

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(Self::resolve(name))
    }
}

#[cfg(test)]
mod tests {
    use lambda_websocket::log::chain;

    use super::*;

    /// Names that the system's resolver takes for addresses, and no other part of the program.
    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_asked() {
        for (name, address) in [("127.1", "127.0.0.1"), ("0x7f000001", "127.0.0.1"), ("0", "0.0.0.0")] {
            let error = chain(&Resolver.resolve_dns(name).await.unwrap_err());
            assert!(error.ends_with(&format!("{name:?} leads to the internal address {address}")), "{error}");
        }
        assert!(Resolver.resolve_dns("localhost").await.is_ok());
    }
}
