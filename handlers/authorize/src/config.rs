//! The authorizer's configuration: environment variables, read once at start.

use std::{error::Error as StdError, fs, str::FromStr};

use crate::{key::KeySet, secret::SecretArn, url::SafeUrl, verify::Rules};

/// The issuer of the tokens: their exact claim `iss`. If no other variable gives the source of the keys, it is a URL,
/// and the issuer is asked: at `/.well-known/openid-configuration` below it.
pub const ISSUER: &str = "ISSUER";

/// The accepted audiences, separated by commas: a token's claim `aud` is or contains one of them.
pub const AUDIENCE: &str = "AUDIENCE";

/// The ARN of the secret for HS256: a secret in Secrets Manager, or a `SecureString` parameter of Systems Manager. Its
/// text is used as it is, and has 32 bytes or more.
pub const SECRET_ARN: &str = "SECRET_ARN";

/// The keys themselves, as a JSON Web Key Set. All variables of a function together have 4 KB.
pub const JWKS: &str = "JWKS";

/// The path of a file with the keys, as a JSON Web Key Set. A file in the package is below `/var/task`, one in a layer
/// below `/opt`.
pub const JWKS_FILE: &str = "JWKS_FILE";

/// The URL of the keys, as a JSON Web Key Set, if the issuer cannot be asked for it.
pub const JWKS_URL: &str = "JWKS_URL";

/// The claim with the client that a token was issued to, such as `client_id` or `azp`. If a token has no `aud`, this
/// claim must be one of [`AUDIENCE`]. Unset: each token must have an `aud`.
pub const CLIENT_CLAIM: &str = "CLIENT_CLAIM";

/// The query parameter with the token; unset: `token`.
pub const TOKEN_PARAMETER: &str = "TOKEN_PARAMETER";

/// The claim with the channels that the client may join; unset: `channels`.
pub const CHANNELS_CLAIM: &str = "CHANNELS_CLAIM";

/// The values of the variables.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) rules: Rules,
    pub(crate) keys: KeySource,
    pub(crate) token_parameter: String,
    pub(crate) channels_claim: String,
}

/// The source of the keys.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// A secret with this ARN.
    Secret(SecretArn),
    /// These keys.
    Fixed(KeySet),
    /// The JSON Web Key Set at this URL.
    Url(SafeUrl),
    /// The configuration of the issuer at this URL.
    Issuer(SafeUrl),
}

/// The variables are invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has an invalid value.
    #[error("the environment variable {name} is wrong")]
    Invalid {
        /// The variable's name.
        name: &'static str,
        /// The problem with the value.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The issuer cannot be asked, and no other variable gives the source of the keys.
    #[error(
        "the environment variable {ISSUER} is no URL that keys can be asked of: set one of {SECRET_ARN}, {JWKS}, {JWKS_FILE} and {JWKS_URL}"
    )]
    NoKeys {
        /// The problem with the issuer's URL.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// Several variables give the source of the keys.
    #[error(
        "of the environment variables {SECRET_ARN}, {JWKS}, {JWKS_FILE} and {JWKS_URL}, one at most is set"
    )]
    SeveralKeys,
}

impl Config {
    /// Reads the variables. An empty variable counts as unset.
    ///
    /// # Errors
    /// When a variable is missing or invalid.
    pub fn read(variable: impl Fn(&'static str) -> Option<String>) -> Result<Self, ConfigError> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let required = |name| variable(name).ok_or(ConfigError::Missing(name));

        let issuer = required(ISSUER)?;
        let audiences: Vec<String> = required(AUDIENCE)?
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect();
        if audiences.is_empty() {
            return Err(ConfigError::Missing(AUDIENCE));
        }
        let sources = [SECRET_ARN, JWKS, JWKS_FILE, JWKS_URL];
        let mut sources = sources.into_iter().filter_map(|name| variable(name).map(|value| (name, value)));
        let keys = match (sources.next(), sources.next()) {
            (Some((SECRET_ARN, arn)), None) => KeySource::Secret(parse(SECRET_ARN, &arn)?),
            (Some((JWKS_URL, url)), None) => KeySource::Url(parse(JWKS_URL, &url)?),
            (Some((JWKS_FILE, path)), None) => fixed(JWKS_FILE, &read_file(&path)?)?,
            (Some((name, keys)), None) => fixed(name, &keys)?,
            (None, _) => KeySource::Issuer(
                issuer.parse().map_err(|error| ConfigError::NoKeys { source: Box::new(error) })?,
            ),
            _ => return Err(ConfigError::SeveralKeys),
        };
        Ok(Self {
            rules: Rules { issuer, audiences, client_claim: variable(CLIENT_CLAIM) },
            keys,
            token_parameter: variable(TOKEN_PARAMETER).unwrap_or_else(|| "token".to_owned()),
            channels_claim: variable(CHANNELS_CLAIM).unwrap_or_else(|| "channels".to_owned()),
        })
    }
}

fn read_file(path: &str) -> Result<String, ConfigError> {
    fs::read_to_string(path)
        .map_err(|error| ConfigError::Invalid { name: JWKS_FILE, source: format!("{path}: {error}").into() })
}

fn fixed(name: &'static str, keys: &str) -> Result<KeySource, ConfigError> {
    let keys = KeySet::parse_fixed(keys);
    keys.map(KeySource::Fixed).map_err(|error| ConfigError::Invalid { name, source: Box::new(error) })
}

fn parse<T>(name: &'static str, value: &str) -> Result<T, ConfigError>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    value.parse().map_err(|error| ConfigError::Invalid { name, source: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use lambda_websocket::log::chain;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, String> {
        let find =
            |name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(find).map_err(|error| chain(&error))
    }

    #[test]
    fn an_issuer_and_an_audience_are_enough() {
        let config = read(&[("ISSUER", "https://example.com/"), ("AUDIENCE", "web, mobile ,")]).unwrap();
        assert_eq!(config.rules.audiences, ["web", "mobile"]);
        assert_eq!(config.rules.client_claim, None);
        assert!(matches!(config.keys, KeySource::Issuer(url) if url.as_str() == "https://example.com/"));
        assert_eq!((config.token_parameter.as_str(), config.channels_claim.as_str()), ("token", "channels"));
    }

    #[test]
    fn the_keys_come_from_one_place() {
        let both = [("ISSUER", "me"), ("AUDIENCE", "you")];
        let with = |name, value| read(&[&both[..], &[(name, value)]].concat()).unwrap().keys;
        for arn in [
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf",
            "arn:aws:ssm:eu-central-1:123456789012:parameter/key",
        ] {
            assert!(matches!(with("SECRET_ARN", arn), KeySource::Secret(found) if found.to_string() == arn));
        }
        assert!(matches!(with("JWKS_URL", "https://example.com/jwks.json"), KeySource::Url(_)));
        let keys =
            r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        assert!(matches!(with("JWKS", keys), KeySource::Fixed(_)));
        let file = env::temp_dir().join(format!("jwks-{}.json", process::id()));
        fs::write(&file, keys).unwrap();
        assert!(matches!(with("JWKS_FILE", file.to_str().unwrap()), KeySource::Fixed(_)));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn what_is_wrong_is_said_with_the_name_of_the_variable() {
        let me = ("ISSUER", "me");
        let you = ("AUDIENCE", "you");
        for (variables, sentence) in [
            (&[][..], "the environment variable ISSUER is not set"),
            (&[me], "the environment variable AUDIENCE is not set"),
            (&[me, ("AUDIENCE", " ,")], "the environment variable AUDIENCE is not set"),
            (
                &[me, you],
                "the environment variable ISSUER is no URL that keys can be asked of: set one of SECRET_ARN, \
                 JWKS, JWKS_FILE and JWKS_URL: \"me\" is no https URL",
            ),
            (
                &[me, you, ("JWKS", "{}"), ("SECRET_ARN", "arn")],
                "of the environment variables SECRET_ARN, JWKS, JWKS_FILE and JWKS_URL, one at most is set",
            ),
            (
                &[me, you, ("SECRET_ARN", "key")],
                "the environment variable SECRET_ARN is wrong: \"key\" is the ARN of neither a secret in Secrets \
                 Manager nor a parameter of Systems Manager",
            ),
            (
                &[me, you, ("JWKS_FILE", "/no/such/file")],
                "the environment variable JWKS_FILE is wrong: /no/such/file: No such file or directory (os error 2)",
            ),
            (
                &[me, you, ("JWKS_URL", "http://example.com")],
                "the environment variable JWKS_URL is wrong: \"http://example.com\" is no https URL",
            ),
            (
                &[me, you, ("JWKS", r#"{"keys":[]}"#)],
                "the environment variable JWKS is wrong: none of its keys is one for signatures with RS256, ES256 \
                 (P-256) or EdDSA (Ed25519)",
            ),
        ] {
            assert_eq!(read(variables).unwrap_err(), sentence);
        }
    }
}
