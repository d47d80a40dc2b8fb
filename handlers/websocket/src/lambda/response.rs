//! A handler's response to API Gateway.

use serde::Serialize;

use crate::protocol::frame::Frame;

/// A function's response, in the shape of a [Lambda proxy integration's response][shape]. Its body reaches the client
/// only if the route is two-way.
///
/// On `$connect`, the status 200 lets the client in, and another refuses it. Elsewhere no client sees the status.
///
/// [shape]: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html#api-gateway-simple-proxy-for-lambda-output-format
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Headers {
    // Spelled as in AWS's guide: whether API Gateway takes another case is not documented.
    #[serde(rename = "Sec-WebSocket-Protocol")]
    subprotocol: String,
}

impl Response {
    /// A response without a body.
    pub fn empty() -> Self {
        Self { status_code: 200, headers: None, body: None }
    }

    /// Refuses to let the client in.
    pub(crate) fn forbidden() -> Self {
        Self { status_code: 403, ..Self::empty() }
    }

    /// Lets a client in, and tells it the chosen sub-protocol, as [RFC 6455] requires.
    ///
    /// [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
    pub fn subprotocol(chosen: impl Into<String>) -> Self {
        Self { headers: Some(Headers { subprotocol: chosen.into() }), ..Self::empty() }
    }

    /// A frame back to the client.
    pub fn frame(frame: &Frame<'_>) -> Self {
        Self::text(frame.to_json().get())
    }

    /// Any text back to the client.
    pub fn text(text: impl Into<String>) -> Self {
        Self { body: Some(text.into()), ..Self::empty() }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn json(reply: &Response) -> String {
        serde_json::to_string(reply).unwrap()
    }

    #[test]
    fn replies_have_the_shape_that_api_gateway_reads() {
        assert_snapshot!(json(&Response::empty()), @r#"{"statusCode":200}"#);
        assert_snapshot!(json(&Response::forbidden()), @r#"{"statusCode":403}"#);
        assert_snapshot!(json(&Response::text("hi")), @r#"{"statusCode":200,"body":"hi"}"#);
        assert_snapshot!(
            json(&Response::subprotocol("chat.v1")),
            @r#"{"statusCode":200,"headers":{"Sec-WebSocket-Protocol":"chat.v1"}}"#
        );
    }
}
