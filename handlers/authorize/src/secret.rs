//! The secret of HS256, read from the service that its ARN names.

use std::{error::Error as StdError, fmt, str::FromStr, time::Duration};

use aws_config::{SdkConfig, timeout::TimeoutConfig};
use aws_sdk_secretsmanager::{
    self as secretsmanager, error::SdkError, operation::get_secret_value::GetSecretValueError,
};
use aws_sdk_ssm::{self as ssm, operation::get_parameter::GetParameterError, types::ParameterType};
use lambda_websocket::aws::CONNECT_TIMEOUT;

use crate::{
    error::Error,
    key::{InvalidKeys, KeySet},
};

/// The ARN of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretArn {
    text: String,
    service: Service,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    SecretsManager,
    ParameterStore,
}

/// The text is not the ARN of a secret.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{found:?} is the ARN of neither a secret in Secrets Manager nor a parameter of Systems Manager")]
pub(crate) struct InvalidSecretArn {
    found: String,
}

impl FromStr for SecretArn {
    type Err = InvalidSecretArn;

    fn from_str(text: &str) -> Result<Self, InvalidSecretArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let service = match parts.as_slice() {
            ["arn", _, "secretsmanager", _, _, name] if name.starts_with("secret:") => {
                Service::SecretsManager
            }
            ["arn", _, "ssm", _, _, name] if name.starts_with("parameter/") => Service::ParameterStore,
            _ => return Err(InvalidSecretArn { found: text.to_owned() }),
        };
        Ok(Self { text: text.to_owned(), service })
    }
}

impl fmt::Display for SecretArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A secret, and the client of its service.
#[derive(Debug)]
pub(crate) struct Secret {
    arn: SecretArn,
    client: Client,
}

#[derive(Debug)]
enum Client {
    SecretsManager(secretsmanager::Client),
    ParameterStore(ssm::Client),
}

impl Secret {
    /// A secret that is read with the SDK's standard retries. Each attempt has to leave time for the next, within the
    /// time limit of a read.
    pub(crate) fn new(arn: SecretArn, sdk: &SdkConfig) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(Duration::from_secs(2))
            .build();
        let sdk = sdk.to_builder().timeout_config(timeouts).build();
        let client = match arn.service {
            Service::SecretsManager => Client::SecretsManager(secretsmanager::Client::new(&sdk)),
            Service::ParameterStore => Client::ParameterStore(ssm::Client::new(&sdk)),
        };
        Self { arn, client }
    }

    pub(crate) async fn read(&self) -> Result<KeySet, Error> {
        let arn = self.arn.text.as_str();
        let text = match &self.client {
            Client::SecretsManager(client) => {
                let answer = client.get_secret_value().secret_id(arn).send().await;
                let gone = |error: &GetSecretValueError| {
                    // The second is the error of a secret that is marked for deletion.
                    error.is_resource_not_found_exception() || error.is_invalid_request_exception()
                };
                let secret = answer.map_err(|error| self.unread(error, gone))?;
                secret.secret_string.ok_or(InvalidKeys::NoText)
            }
            Client::ParameterStore(client) => {
                let answer = client.get_parameter().name(arn).with_decryption(true).send().await;
                let gone = GetParameterError::is_parameter_not_found;
                let parameter = answer.map_err(|error| self.unread(error, gone))?.parameter;
                match parameter {
                    Some(parameter) if parameter.r#type == Some(ParameterType::SecureString) => {
                        parameter.value.ok_or(InvalidKeys::NoText)
                    }
                    _ => Err(InvalidKeys::Unencrypted),
                }
            }
        };
        text.and_then(|text| KeySet::secret(&text))
            .map_err(|source| Error::Keys { place: self.arn.to_string(), source })
    }

    fn unread<E>(&self, error: SdkError<E>, is_gone: impl Fn(&E) -> bool) -> Error
    where
        E: StdError + Send + Sync + 'static,
    {
        let (arn, gone) = (self.arn.to_string(), error.as_service_error().is_some_and(is_gone));
        let source = Box::new(error);
        if gone { Error::NoSecret { arn, source } } else { Error::Secret { arn, source } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_the_service() {
        for (text, service) in [
            ("arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf", Service::SecretsManager),
            ("arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:a/b-AbCdEf", Service::SecretsManager),
            ("arn:aws:ssm:eu-central-1:123456789012:parameter/key", Service::ParameterStore),
            ("arn:aws-us-gov:ssm:us-gov-west-1:123456789012:parameter/a/b", Service::ParameterStore),
        ] {
            let arn: SecretArn = text.parse().unwrap();
            assert_eq!((arn.service, arn.to_string().as_str()), (service, text));
        }
    }

    #[test]
    fn what_is_no_such_arn_is_refused_with_a_sentence() {
        for text in [
            "key",
            "/authorized/key",
            "arn:aws:s3:::key",
            "arn:aws:ssm:eu-central-1:123456789012:document/key",
            "arn:aws:secretsmanager:eu-central-1:123456789012:key-AbCdEf",
            "arn:aws:secretsmanager:eu-central-1",
            " arn:aws:ssm:eu-central-1:123456789012:parameter/key",
        ] {
            assert_eq!(
                text.parse::<SecretArn>().unwrap_err().to_string(),
                format!(
                    "{text:?} is the ARN of neither a secret in Secrets Manager nor a parameter of Systems Manager"
                )
            );
        }
    }
}
