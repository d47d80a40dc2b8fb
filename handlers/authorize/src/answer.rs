//! The answer to API Gateway: a policy, and the context of the connection's later events.

use serde::Serialize;

use crate::{
    denial::Denial,
    identity::{Channels, Identity},
};

/// The [output of an authorizer][output].
///
/// It replaces the type of `aws_lambda_events`, which writes absent fields as `null`.
///
/// [output]: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-lambda-authorizer-output.html
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    principal_id: String,
    policy_document: Policy,
    context: Context,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Policy {
    version: &'static str,
    statement: [Statement; 1],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement {
    action: &'static str,
    effect: Effect,
    resource: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    channels: Option<Channels>,
}

impl Answer {
    /// The maximum size that API Gateway accepts, in bytes of JSON ([quota], fixed).
    ///
    /// [quota]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
    pub const MAX_BYTES: usize = 8 * 1024;

    /// Allows the connection.
    ///
    /// # Errors
    /// When the answer is larger than API Gateway accepts. Only the channels can make it so.
    pub fn allow(method_arn: &str, identity: Identity) -> Result<Self, Denial> {
        let Identity { principal, channels } = identity;
        let answer = Self::new(Effect::Allow, method_arn, principal.to_string(), Context { channels });
        match serde_json::to_vec(&answer) {
            Ok(json) if json.len() <= Self::MAX_BYTES => Ok(answer),
            _ => Err(Denial::InvalidChannels),
        }
    }

    /// Denies the connection. The client gets status 403.
    pub fn deny(method_arn: &str) -> Self {
        Self::new(Effect::Deny, method_arn, "nobody".to_owned(), Context::default())
    }

    fn new(effect: Effect, method_arn: &str, principal_id: String, context: Context) -> Self {
        let statement = Statement { action: "execute-api:Invoke", effect, resource: method_arn.to_owned() };
        Self {
            principal_id,
            policy_document: Policy { version: "2012-10-17", statement: [statement] },
            context,
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::*;

    const METHOD_ARN: &str = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/live/$connect";

    fn identity(channels: &serde_json::Value) -> Identity {
        let claims = json!({"sub": "ada", "channels": channels});
        Identity::parse(claims.as_object().unwrap(), "channels").unwrap()
    }

    #[test]
    fn answers_have_the_shape_that_api_gateway_reads() {
        let json = |answer: &Answer| serde_json::to_string(answer).unwrap();
        let allow = Answer::allow(METHOD_ARN, identity(&json!(["room:*", "news"]))).unwrap();
        assert_snapshot!(json(&allow), @r#"{"principalId":"ada","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/live/$connect"}]},"context":{"channels":"room:* news"}}"#);
        assert_snapshot!(json(&Answer::deny(METHOD_ARN)), @r#"{"principalId":"nobody","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Deny","Resource":"arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/live/$connect"}]},"context":{}}"#);
    }

    #[test]
    fn what_api_gateway_would_not_take_is_denied() {
        // Patterns of so many characters in all. JSON writes some characters longer than they are.
        let patterns = |length: usize, sign: &str| {
            let text = format!("user:{} ", sign.repeat(94)).repeat(length / 100);
            format!("{text}{}", "x".repeat(length % 100))
        };
        let envelope = serde_json::to_vec(&Answer::allow(METHOD_ARN, identity(&json!("x"))).unwrap());
        let room = Answer::MAX_BYTES - envelope.unwrap().len() + 1;
        assert!(room % 100 > 1, "the last pattern is not empty");
        assert!(Answer::allow(METHOD_ARN, identity(&json!(patterns(room, "x")))).is_ok());
        let denial = Answer::allow(METHOD_ARN, identity(&json!(patterns(room + 1, "x")))).unwrap_err();
        assert_eq!(denial, Denial::InvalidChannels);
        // Escaped characters count at their length in JSON.
        assert!(Answer::allow(METHOD_ARN, identity(&json!(patterns(room, "\"")))).is_err());
    }
}
