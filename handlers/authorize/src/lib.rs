//! The authorizer of `$connect`: lets in who brings a JSON Web Token that is good here.
//!
//! API Gateway asks it once for each connection, as a [`REQUEST` authorizer][guide], and hands what it answers to
//! every later event of the connection.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | the environment variables, read once at start |
//! | [`request`] | what API Gateway asks, and where the token is in it |
//! | [`keys`] | the keys that tokens are signed with: from a secret, a variable, or the issuer |
//! | [`identity`] | who the token says it is, once it is known to be good |
//! | [`denial`] | why somebody is not let in: for the log alone |
//! | [`answer`] | the policy that API Gateway gets |
//! | [`error`] | what went wrong on our side |
//!
//! Who is not let in gets a policy that denies, and so hears 403 and no reason. The other way to refuse, to fail
//! with the error `Unauthorized`, would be heard as 401, and counted as an error of the function: an alarm on errors
//! would ring for every stale token. So an error of this function is one of ours, which is heard as 500.
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

/// What it takes to tell who may connect.
#[derive(Debug)]
pub struct Authorizer {
    keys: Keys,
    rules: Rules,
    token_parameter: String,
    channels_claim: String,
}

/// Why nobody was let in: the client's fault, or ours.
#[derive(Debug, thiserror::Error)]
enum Refusal {
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

    /// Reads the keys ahead of the first request, while Lambda gives the start of a function more CPU.
    ///
    /// Where they cannot be read, the function starts all the same, and tries again when it is asked.
    pub async fn warm(&self) {
        if let Err(error) = self.keys.warm().await {
            tracing::error!(error = chain(&error), "keys not loaded");
        }
    }

    async fn identify(&self, request: &Request) -> Result<Identity, Refusal> {
        let token = request.token(&self.token_parameter).ok_or(Denial::MissingToken)?;
        let token = Token::parse(token)?;
        let claims = token.verify(&self.keys.find(&token.header).await?)?;
        self.rules.check(&claims)?;
        Ok(Identity::parse(&claims, &self.channels_claim)?)
    }
}

/// Answers whether the client may connect.
///
/// # Errors
/// When the keys cannot be read: nobody can tell then whether the token is good.
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
        Err(Refusal::Denied(denial)) => {
            let claim = denial.claim();
            tracing::info!(connection_id, request_id, code = denial.code(), claim, "denied");
            Ok(Answer::deny(&request.method_arn))
        }
        Err(Refusal::Failed(error)) => {
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

    /// Who watches the log counts on these: a code is not renamed.
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
                Err(Refusal::Denied(denial)) => assert_eq!(denial.code(), code),
                other => panic!("{code}: {other:?}"),
            }
        }
    }
}
