//! The sources of keys: a secret, a variable, a URL, or the issuer's own configuration.

use aws_config::SdkConfig;
use serde::Deserialize;

use crate::{config::KeySource, error::Error, fetch::Fetcher, key::KeySet, secret::Secret, url::SafeUrl};

/// A source of keys.
#[derive(Debug)]
pub(crate) enum Source {
    Secret(Secret),
    Fixed(KeySet),
    Url { fetcher: Fetcher, url: SafeUrl },
    Issuer { fetcher: Fetcher, issuer: SafeUrl },
}

impl Source {
    pub(crate) fn new(source: KeySource, sdk: &SdkConfig) -> Self {
        match source {
            KeySource::Secret(arn) => Self::Secret(Secret::new(arn, sdk)),
            KeySource::Fixed(keys) => Self::Fixed(keys),
            KeySource::Url(url) => Self::Url { fetcher: Fetcher::new(), url },
            KeySource::Issuer(issuer) => Self::Issuer { fetcher: Fetcher::new(), issuer },
        }
    }

    pub(crate) async fn read(&self) -> Result<KeySet, Error> {
        match self {
            Self::Secret(secret) => secret.read().await,
            Self::Fixed(keys) => Ok(keys.clone()),
            Self::Url { fetcher, url } => fetch_keys(fetcher, url).await,
            Self::Issuer { fetcher, issuer } => fetch_keys(fetcher, &discover(fetcher, issuer).await?).await,
        }
    }
}

async fn fetch_keys(fetcher: &Fetcher, url: &SafeUrl) -> Result<KeySet, Error> {
    let json = fetch(fetcher, url).await?;
    KeySet::parse(&json).map_err(|source| Error::Keys { place: url.to_string(), source })
}

/// The URL of the issuer's keys, from the issuer's own configuration ([OpenID Connect Discovery][discovery]).
///
/// [discovery]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
async fn discover(fetcher: &Fetcher, issuer: &SafeUrl) -> Result<SafeUrl, Error> {
    #[derive(Deserialize)]
    struct Configuration {
        issuer: String,
        jwks_uri: String,
    }

    let url = issuer.join(".well-known/openid-configuration");
    let configuration: Configuration = serde_json::from_str(&fetch(fetcher, &url).await?)
        .map_err(|source| Error::Discovery { url: url.to_string(), source })?;
    if configuration.issuer != issuer.as_str() {
        return Err(Error::OtherIssuer { url: url.to_string(), found: configuration.issuer });
    }
    issuer.named(&configuration.jwks_uri).map_err(|source| Error::KeysUrl { url: url.to_string(), source })
}

async fn fetch(fetcher: &Fetcher, url: &SafeUrl) -> Result<String, Error> {
    fetcher.get(url).await.map_err(|source| Error::Fetch { url: url.to_string(), source })
}
