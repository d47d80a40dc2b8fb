//! What a handler answers to API Gateway.

use aws_lambda_events::apigw::ApiGatewayProxyResponse;
use http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL};
use serde::Serialize;

use crate::frame::Frame;

/// A function's answer. Its body reaches the client only where the route is two-way.
///
/// The status is always 200: on `$connect` it lets the client in, elsewhere no client sees it.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Reply(ApiGatewayProxyResponse);

impl Reply {
    /// Nothing to say.
    pub fn empty() -> Self {
        let mut response = ApiGatewayProxyResponse::default();
        response.status_code = 200;
        Self(response)
    }

    /// Lets a client in that speaks a sub-protocol: API Gateway passes the header on, as [RFC 6455] wants it.
    ///
    /// [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    pub fn subprotocol(chosen: HeaderValue) -> Self {
        let mut reply = Self::empty();
        reply.0.headers.insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        reply
    }

    /// A frame back to the client.
    pub fn frame(frame: &Frame<'_>) -> Self {
        Self::text(frame.to_json())
    }

    /// Any text back to the client.
    pub fn text(text: impl Into<String>) -> Self {
        let mut reply = Self::empty();
        reply.0.body = Some(text.into().into());
        reply
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn json(reply: &Reply) -> String {
        serde_json::to_string(reply).unwrap()
    }

    #[test]
    fn replies_have_the_shape_that_api_gateway_reads() {
        assert_snapshot!(json(&Reply::empty()), @r#"{"statusCode":200,"headers":{},"multiValueHeaders":{},"isBase64Encoded":false}"#);
        assert_snapshot!(json(&Reply::text("hi")), @r#"{"statusCode":200,"headers":{},"multiValueHeaders":{},"body":"hi","isBase64Encoded":false}"#);
        let chosen = Reply::subprotocol(HeaderValue::from_static("chat.v1"));
        assert_snapshot!(json(&chosen), @r#"{"statusCode":200,"headers":{"sec-websocket-protocol":"chat.v1"},"multiValueHeaders":{},"isBase64Encoded":false}"#);
    }
}
