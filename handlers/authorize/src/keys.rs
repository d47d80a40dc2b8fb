//! The keys that are good at the moment: read once, and again when they are old or do not have the one that is
//! asked for.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use jsonwebtoken::Header;
use lambda_websocket::error::chain;
use serde::Deserialize;
use tokio::{sync::Mutex, time::timeout};

use crate::{
    Refusal,
    config::KeySource,
    denial::Denial,
    error::Error,
    fetch::Fetcher,
    key::{Key, KeySet},
    secret::Secret,
    url::SafeUrl,
};

/// When keys are read, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    /// How long keys are good for: a key that was taken back, or a secret that was rotated, is known after it.
    max_age: Duration,
    /// How long keys are good for where a token names another key: whoever makes up names must not make us ask
    /// the issuer each time.
    min_age: Duration,
    /// How long reading may take, both documents of an issuer together: a function has 10 seconds unless it says
    /// otherwise, and its start as many.
    timeout: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(10 * 60),
            min_age: Duration::from_secs(60),
            timeout: Duration::from_secs(5),
        }
    }
}

/// The keys, and where they come from.
#[derive(Debug)]
pub(crate) struct Keys {
    source: Source,
    policy: Policy,
    known: Mutex<Option<Known>>,
}

#[derive(Debug)]
struct Known {
    keys: KeySet,
    /// By the clock on the wall: a monotonic one may stand still while Lambda has the function frozen.
    read_at: SystemTime,
    /// When they were asked for last, in vain too.
    asked_at: SystemTime,
}

impl Known {
    fn new(keys: KeySet) -> Self {
        let now = SystemTime::now();
        Self { keys, read_at: now, asked_at: now }
    }
}

/// Whether that was less than this ago. After a clock that was set back it was not.
fn was_within(time: SystemTime, age: Duration) -> bool {
    time.elapsed().is_ok_and(|elapsed| elapsed < age)
}

impl Keys {
    pub(crate) fn new(source: KeySource, sdk: &SdkConfig) -> Self {
        Self { source: Source::new(source, sdk), policy: Policy::default(), known: Mutex::new(None) }
    }

    /// Reads the keys.
    pub(crate) async fn warm(&self) -> Result<(), Error> {
        *self.known.lock().await = Some(self.read().await?);
        Ok(())
    }

    /// The key that a token says it is signed with.
    pub(crate) async fn find(&self, header: &Header) -> Result<Key, Refusal> {
        let mut known = self.known.lock().await;
        let current = match known.take() {
            Some(known) if was_within(known.read_at, self.policy.max_age) => known,
            old => self.renew(old).await?,
        };
        let current = known.insert(current);
        let found = match current.keys.find(header) {
            Err(Denial::UnknownKey) if !was_within(current.asked_at, self.policy.min_age) => {
                current.asked_at = SystemTime::now(); // Also where it is in vain.
                *current = self.read().await?;
                current.keys.find(header)
            }
            found => found,
        };
        Ok(found?.clone())
    }

    /// Keys that are old are better than none while the issuer cannot be reached. It is asked again when they are
    /// older by the lesser age.
    async fn renew(&self, old: Option<Known>) -> Result<Known, Error> {
        match (self.read().await, old) {
            (Err(error), Some(old)) => {
                tracing::warn!(error = chain(&error), "the keys cannot be read anew, the old ones stay");
                let grace = self.policy.max_age.saturating_sub(self.policy.min_age);
                let now = SystemTime::now();
                Ok(Known { read_at: now - grace, asked_at: now, ..old })
            }
            (read, _) => read,
        }
    }

    async fn read(&self) -> Result<Known, Error> {
        let read = timeout(self.policy.timeout, self.source.read()).await;
        Ok(Known::new(read.map_err(|_| Error::TimedOut)??))
    }
}

/// A place to read keys from.
#[derive(Debug)]
enum Source {
    Secret(Secret),
    Fixed(KeySet),
    Url { fetcher: Fetcher, url: SafeUrl },
    Issuer { fetcher: Fetcher, issuer: SafeUrl },
}

impl Source {
    fn new(source: KeySource, sdk: &SdkConfig) -> Self {
        match source {
            KeySource::Secret(arn) => Self::Secret(Secret::new(arn, sdk)),
            KeySource::Fixed(keys) => Self::Fixed(keys),
            KeySource::Url(url) => Self::Url { fetcher: Fetcher::new(), url },
            KeySource::Issuer(issuer) => Self::Issuer { fetcher: Fetcher::new(), issuer },
        }
    }

    async fn read(&self) -> Result<KeySet, Error> {
        match self {
            Self::Secret(secret) => secret.read().await,
            Self::Fixed(keys) => Ok(keys.clone()),
            Self::Url { fetcher, url } => fetch_keys(fetcher, url).await,
            Self::Issuer { fetcher, issuer } => fetch_keys(fetcher, &discover(fetcher, issuer).await?).await,
        }
    }
}

async fn fetch_keys(fetcher: &Fetcher, url: &SafeUrl) -> Result<KeySet, Error> {
    fetch(fetcher, url).await?.parse().map_err(|source| Error::Keys { place: url.to_string(), source })
}

/// Where the issuer's keys are, as it says itself ([OpenID Connect Discovery][discovery]).
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
    configuration.jwks_uri.parse().map_err(|source| Error::KeysUrl { url: url.to_string(), source })
}

async fn fetch(fetcher: &Fetcher, url: &SafeUrl) -> Result<String, Error> {
    fetcher.get(url).await.map_err(|source| Error::Fetch { url: url.to_string(), source })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};
    use testkit::{
        issuer::{Answer, Issuer},
        sdk_config,
        tokens::{Signer, jwks},
    };

    use super::*;

    const NEVER: Duration = Duration::from_secs(3600);

    /// Keys that stay as they are, unless the policy is changed.
    fn keys(source: KeySource) -> Keys {
        let policy = Policy { max_age: NEVER, min_age: NEVER, timeout: Duration::from_secs(5) };
        Keys { policy, ..Keys::new(source, &sdk_config("http://127.0.0.1:9")) }
    }

    fn of(issuer: &Issuer) -> Keys {
        keys(KeySource::Issuer(issuer.url.parse().unwrap()))
    }

    fn public(id: &str) -> Value {
        jwks([&Signer::eddsa(id)])
    }

    /// The name of the denial where there is no such key; the error's sentence where there are no keys.
    async fn find(keys: &Keys, id: &str) -> Result<(), String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(id.to_owned());
        match keys.find(&header).await {
            Ok(_) => Ok(()),
            Err(Refusal::Denied(denial)) => Err(denial.code().to_owned()),
            Err(Refusal::Failed(error)) => Err(chain(&error)),
        }
    }

    #[tokio::test]
    async fn an_issuer_is_asked_once_where_its_keys_are_and_for_them() {
        let issuer = Issuer::start(public("1")).await;
        let keys = of(&issuer);
        keys.warm().await.unwrap();
        for _ in 0..3 {
            assert_eq!(find(&keys, "1").await, Ok(()));
        }
        assert_eq!(issuer.requests(), 2);
    }

    #[tokio::test]
    async fn keys_are_fetched_from_a_url() {
        let issuer = Issuer::start(public("1")).await;
        let keys = keys(KeySource::Url(issuer.keys_url().parse().unwrap()));
        assert_eq!(find(&keys, "1").await, Ok(()));
        assert_eq!(issuer.requests(), 1);
    }

    #[tokio::test]
    async fn a_new_key_is_found_when_a_token_names_it_but_the_issuer_is_not_asked_each_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Keys(public("2"))).await;

        assert_eq!(find(&keys, "2").await, Err("unknown_key".to_owned()), "asked a moment ago");
        assert_eq!(issuer.requests(), 2);
        keys.policy.min_age = Duration::ZERO;
        assert_eq!(find(&keys, "2").await, Ok(()));
        keys.policy.min_age = NEVER;
        assert_eq!(find(&keys, "1").await, Err("unknown_key".to_owned()), "taken back");
        assert_eq!(issuer.requests(), 4);
    }

    #[tokio::test]
    async fn a_key_that_was_taken_back_is_forgotten_in_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Keys(public("2"))).await;
        assert_eq!(find(&keys, "1").await, Ok(()), "for as long as the keys are young");
        keys.policy.max_age = Duration::ZERO;
        assert_eq!(find(&keys, "1").await, Err("unknown_key".to_owned()));
    }

    #[tokio::test]
    async fn while_the_issuer_is_away_its_keys_stay_and_it_is_not_asked_each_time() {
        let issuer = Issuer::start(public("1")).await;
        let mut keys = of(&issuer);
        assert_eq!(find(&keys, "1").await, Ok(()));
        issuer.set(Answer::Status(503)).await;
        let known = keys.known.get_mut().as_mut().unwrap();
        known.read_at -= NEVER;
        keys.policy.min_age = Duration::from_secs(60);
        for _ in 0..3 {
            assert_eq!(find(&keys, "1").await, Ok(()));
        }
        assert_eq!(find(&keys, "2").await, Err("unknown_key".to_owned()));
        assert_eq!(issuer.requests(), 3);

        keys.known.get_mut().as_mut().unwrap().asked_at -= NEVER;
        let error = find(&keys, "2").await.unwrap_err();
        assert!(
            error.ends_with("cannot be read: the answer was 503"),
            "whose key it is cannot be told: {error}"
        );
        assert_eq!(find(&keys, "3").await, Err("unknown_key".to_owned()), "asked a moment ago");
        assert_eq!(issuer.requests(), 4);
    }

    #[tokio::test]
    async fn without_keys_it_is_an_error_and_the_next_try_may_succeed() {
        let issuer = Issuer::start(public("1")).await;
        let keys = of(&issuer);
        for (answer, sentence) in [
            (Answer::Status(500), "cannot be read: the answer was 500"),
            (Answer::Status(302), "cannot be read: the answer was 302"),
            (Answer::Text("<html>".to_owned()), "is no configuration of an issuer: expected value"),
            (Answer::Text("{}".to_owned()), "is no configuration of an issuer: missing field `issuer`"),
            (
                Answer::Text(json!({"issuer": "https://example.com", "jwks_uri": ""}).to_string()),
                r#"is the configuration of "https://example.com", which is not ISSUER"#,
            ),
            (
                Answer::Text(json!({"issuer": issuer.url, "jwks_uri": "http://example.com"}).to_string()),
                r#"names a jwks_uri that is not safe: "http://example.com" is no https URL"#,
            ),
            (Answer::Keys(json!({"keys": []})), "/keys holds no key: none of its keys is one for signatures"),
            (Answer::Keys(json!([])), "/keys holds no key: it is no JSON Web Key Set"),
            (Answer::Text(" ".repeat(300_000)), "cannot be read: the answer has more than 262144 bytes"),
        ] {
            issuer.set(answer).await;
            let error = find(&keys, "1").await.unwrap_err();
            assert!(error.starts_with(&issuer.url) && error.contains(sentence), "{error}");
        }
        issuer.set(Answer::Keys(public("1"))).await;
        assert_eq!(find(&keys, "1").await, Ok(()));
    }

    #[tokio::test]
    async fn an_issuer_that_does_not_answer_is_given_up_on() {
        let issuer = Issuer::start(public("1")).await;
        issuer.set(Answer::Nothing).await;
        let mut keys = of(&issuer);
        keys.policy.timeout = Duration::from_millis(100);
        assert_eq!(find(&keys, "1").await.unwrap_err(), "the keys did not come in time");

        let nobody = keys_of_nobody();
        let error = find(&nobody, "1").await.unwrap_err();
        assert!(error.contains("cannot be read: there was no answer"), "{error}");
    }

    fn keys_of_nobody() -> Keys {
        keys(KeySource::Url("http://127.0.0.1:9/keys".parse().unwrap()))
    }

    #[test]
    fn the_time_that_reading_may_take_is_within_that_of_a_function() {
        assert!(Policy::default().timeout < Duration::from_secs(10));
    }
}
