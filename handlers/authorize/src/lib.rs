//! The authorizer of `$connect`: allows clients with a valid JSON Web Token.
//!
//! API Gateway invokes it once for each connection, as a [`REQUEST` authorizer][guide], and passes its answer to every
//! later event of the connection.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the environment variables, read once at start |
//! | [`request`] | the request from API Gateway, and the place of the token in it |
//! | [`keys`] | the keys that tokens are signed with: from a secret, a variable, or the issuer |
//! | [`identity`] | the principal and the channels of a verified token |
//! | [`denial`] | the reason for a denial: for the log alone |
//! | [`answer`] | the policy that API Gateway gets |
//! | [`error`] | errors on our side |
//!
//! A denied client gets a policy that denies: status 403, without a reason. The alternative, to fail with the error
//! `Unauthorized`, would give status 401, but count as an error of the function. An alarm on errors would go off for
//! every expired token. So every error of this function is ours, and the client gets status 500.
//!
//! [guide]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html

pub mod answer;
pub mod config;
pub mod denial;
pub mod error;
mod fetch;
pub mod identity;
mod key;
pub mod keys;
pub mod request;
mod secret;
mod source;
mod token;
mod url;
mod verify;

use aws_config::SdkConfig;
use lambda_websocket::log::{chain, visible};

use crate::{
    answer::Answer, config::Config, denial::Denial, error::Error, identity::Identity, keys::Keys,
    request::Request, token::Token, verify::Rules,
};

/// Decides which clients may connect.
#[derive(Debug)]
pub struct Authorizer {
    keys: Keys,
    rules: Rules,
    token_parameter: String,
    channels_claim: String,
}

/// The reason for not allowing a connection: the client's fault, or ours.
#[derive(Debug, thiserror::Error)]
enum Rejection {
    #[error(transparent)]
    Denied(#[from] Denial),
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Authorizer {
    /// An authorizer that has not read its keys yet.
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        Self {
            rules: config.rules,
            keys: Keys::new(config.keys, sdk),
            token_parameter: config.token_parameter,
            channels_claim: config.channels_claim,
        }
    }

    /// Reads the keys before the first request, while Lambda gives the initialization of a function more CPU.
    ///
    /// If they cannot be read, the function still starts, and tries again at the next request.
    pub async fn warm(&self) {
        if let Err(error) = self.keys.warm().await {
            tracing::error!(error = chain(&error), "keys not loaded");
        }
    }

    async fn identify(&self, request: &Request) -> Result<Identity, Rejection> {
        let token = request.token(&self.token_parameter).ok_or(Denial::MissingToken)?;
        let token = Token::parse(token)?;
        let claims = token.verify(&self.keys.find(&token.header).await?)?;
        self.rules.check(&claims)?;
        Ok(Identity::parse(&claims, &self.channels_claim)?)
    }
}

/// Decides whether the client may connect.
///
/// # Errors
/// When the keys cannot be read: the token cannot be verified then.
pub async fn authorize(authorizer: &Authorizer, request: Request) -> Result<Answer, Error> {
    let answer = authorizer.identify(&request).await.and_then(|identity| {
        let principal = visible(identity.principal.as_str());
        Ok((Answer::allow(&request.method_arn, identity)?, principal))
    });
    let connection_id = request.context.connection_id.as_str();
    let request_id = request.context.request_id.as_str();
    match answer {
        Ok((answer, principal)) => {
            tracing::info!(connection_id, request_id, principal, "allowed");
            Ok(answer)
        }
        Err(Rejection::Denied(denial)) => {
            let claim = denial.claim();
            tracing::info!(connection_id, request_id, code = denial.code(), claim, "denied");
            Ok(Answer::deny(&request.method_arn))
        }
        Err(Rejection::Failed(error)) => {
            tracing::error!(connection_id, request_id, error = chain(&error), "failed");
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use testkit::{
        fixtures, sdk_config,
        tokens::{Signer, jwks, unsigned},
    };

    use super::*;

    /// Operators rely on these codes in the log: a code is not renamed.
    #[tokio::test]
    async fn each_denial_has_its_code() {
        let (ours, theirs) = (Signer::eddsa("1"), Signer::eddsa("1"));
        let keys = jwks([&ours]).to_string();
        let config = Config::read(|name| match name {
            config::ISSUER => Some("me".to_owned()),
            config::AUDIENCE => Some("you".to_owned()),
            config::JWKS => Some(keys.clone()),
            _ => None,
        });
        let authorizer = Authorizer::new(config.unwrap(), &sdk_config("http://127.0.0.1:9"));

        let good = json!({"sub": "ada", "iss": "me", "aud": "you", "exp": 4_102_444_800_u64});
        let with = |name: &str, value: Value| {
            let mut claims = good.clone();
            claims[name] = value;
            ours.token(&claims)
        };
        let header = |name: &str, value: Value| {
            let mut header = json!({"alg": "EdDSA", "kid": "1"});
            header[name] = value;
            ours.token_with(&header, &good)
        };
        for (code, token) in [
            ("missing_token", String::new()),
            ("malformed", "token".to_owned()),
            ("malformed", format!("{}.", unsigned(&json!({"alg": "none"}), &good))),
            ("unknown_extension", header("crit", json!(["b64"]))),
            ("unknown_extension", header("crit", Value::Null)),
            ("unknown_extension", header("b64", json!(false))),
            ("wrong_type", header("typ", json!("logout+jwt"))),
            ("unknown_key", header("kid", json!("2"))),
            ("wrong_algorithm", header("alg", json!("HS256"))),
            ("wrong_algorithm", header("alg", json!("Ed448"))),
            ("bad_signature", theirs.token(&good)),
            ("expired", with("exp", json!(1_700_000_000))),
            ("not_yet_valid", with("nbf", json!(4_102_444_800_u64))),
            ("wrong_issuer", with("iss", json!("you"))),
            ("wrong_audience", with("aud", json!("me"))),
            ("missing_claim", with("exp", Value::Null)),
            ("missing_claim", with("nbf", json!("now"))),
            ("invalid_subject", with("sub", json!(""))),
            ("invalid_channels", with("channels", json!(true))),
            ("invalid_channels", with("channels", json!("no channel, is it?"))),
        ] {
            let mut event = fixtures::authorize_json();
            event["queryStringParameters"]["token"] = json!(token);
            let request = serde_json::from_value(event).unwrap();
            match authorizer.identify(&request).await {
                Err(Rejection::Denied(denial)) => assert_eq!(denial.code(), code),
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}
