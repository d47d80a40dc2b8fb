//! Errors on our side. A client's fault is not an error: it is a [`Denial`](crate::denial::Denial).

use std::{error::Error as StdError, sync::Arc};

use lambda_runtime::Diagnostic;
use lambda_websocket::log::chain;

use crate::{fetch::FetchError, key::InvalidKeys, url::InvalidUrl};

/// The reason why the keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Secrets Manager, or Systems Manager, did not return the secret.
    #[error("the secret {arn} cannot be read")]
    Secret {
        /// The ARN in `SECRET_ARN`.
        arn: String,
        /// The SDK's error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The secret is deleted, or is about to be.
    #[error("the secret {arn} is not there")]
    NoSecret {
        /// The ARN in `SECRET_ARN`.
        arn: String,
        /// The SDK's error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The source holds no valid key.
    #[error("{place} holds no key")]
    Keys {
        /// A secret's ARN or a URL.
        place: String,
        /// The problem with its content.
        source: InvalidKeys,
    },
    /// The issuer did not answer.
    #[error("{url} cannot be read")]
    Fetch {
        /// The requested URL.
        url: String,
        /// The error of the request.
        source: FetchError,
    },
    /// The document is not an issuer's configuration.
    #[error("{url} is no configuration of an issuer")]
    Discovery {
        /// The URL of the document.
        url: String,
        /// The problem with the document.
        source: serde_json::Error,
    },
    /// The configuration is that of another issuer.
    #[error("{url} is the configuration of {found:?}, which is not ISSUER")]
    OtherIssuer {
        /// The URL of the document.
        url: String,
        /// The issuer that the configuration names.
        found: String,
    },
    /// The issuer's keys are at an address that must not be trusted.
    #[error("{url} names a jwks_uri that is not safe")]
    KeysUrl {
        /// The URL of the document.
        url: String,
        /// The problem with the address.
        source: InvalidUrl,
    },
    /// Reading the keys took too long.
    #[error("the keys did not come in time")]
    TimedOut,
    /// The keys could not be read just now.
    #[error(transparent)]
    Unread(Arc<Error>),
    /// The keys could not be read a moment ago, and are not requested again yet.
    #[error("the keys could not be read a moment ago")]
    Paused(#[source] Arc<Error>),
}

impl Error {
    /// Whether the source was read and holds no key any more: its keys are withdrawn.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::NoSecret { .. } => true,
            // An issuer that answers with anything but a key set is in trouble.
            Self::Keys { source, .. } => !matches!(source, InvalidKeys::Json(_)),
            _ => false,
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: "Authorizer.Keys".to_owned(), error_message: chain(&error) }
    }
}
