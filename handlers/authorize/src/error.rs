//! What went wrong on our side. A client's fault is no error: it is a [`Denial`](crate::denial::Denial).

use std::{error::Error as StdError, sync::Arc};

use lambda_runtime::Diagnostic;
use lambda_websocket::log::chain;

use crate::{fetch::FetchError, key::InvalidKeys, url::InvalidUrl};

/// Why the keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Secrets Manager, or Systems Manager, did not hand out the secret.
    #[error("the secret {arn} cannot be read")]
    Secret {
        /// What `SECRET_ARN` names.
        arn: String,
        /// What the SDK says of it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The secret is deleted, or is about to be.
    #[error("the secret {arn} is not there")]
    NoSecret {
        /// What `SECRET_ARN` names.
        arn: String,
        /// What the SDK says of it.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What was read holds no key.
    #[error("{place} holds no key")]
    Keys {
        /// A secret's ARN or a URL.
        place: String,
        /// What it holds instead.
        source: InvalidKeys,
    },
    /// The issuer did not answer.
    #[error("{url} cannot be read")]
    Fetch {
        /// What was asked for.
        url: String,
        /// What was answered.
        source: FetchError,
    },
    /// The issuer's configuration is not one.
    #[error("{url} is no configuration of an issuer")]
    Discovery {
        /// Where it was read.
        url: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The configuration is that of another issuer.
    #[error("{url} is the configuration of {found:?}, which is not ISSUER")]
    OtherIssuer {
        /// Where it was read.
        url: String,
        /// Whose it is.
        found: String,
    },
    /// The issuer's keys are at an address that must not be trusted.
    #[error("{url} names a jwks_uri that is not safe")]
    KeysUrl {
        /// Where it was read.
        url: String,
        /// What is wrong with the address.
        source: InvalidUrl,
    },
    /// It took too long.
    #[error("the keys did not come in time")]
    TimedOut,
    /// They could not be read just now.
    #[error(transparent)]
    Unread(Arc<Error>),
    /// They could not be read a moment ago, and are not asked for again yet.
    #[error("the keys could not be read a moment ago")]
    Paused(#[source] Arc<Error>),
}

impl Error {
    /// Whether the place was read, and holds no key any more: what it held is withdrawn.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::NoSecret { .. } => true,
            // An issuer that answers with something else than a set of keys is in trouble.
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
