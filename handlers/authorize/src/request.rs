//! The request from API Gateway, and the token in it.

use std::{collections::HashMap, slice};

use serde::Deserialize;

/// The [input of an authorizer][input] of a WebSocket API.
///
/// The type of `aws_lambda_events` for it, `ApiGatewayCustomAuthorizerRequestTypeRequest`, is that of REST APIs, and
/// has no connection id. The request holds the token, so it cannot be printed.
///
/// [input]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-lambda-auth.html
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// The ARN of the method that the client invokes: the API's `$connect`.
    pub(crate) method_arn: String,
    /// The headers. Of a header with several lines, only the last line.
    pub(crate) headers: Option<HashMap<String, String>>,
    pub(crate) multi_value_headers: Option<HashMap<String, Vec<String>>>,
    pub(crate) query_string_parameters: Option<HashMap<String, String>>,
    #[serde(rename = "requestContext")]
    pub(crate) context: Context,
}

/// The ids of the connection and of the request.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Context {
    pub(crate) connection_id: String,
    pub(crate) request_id: String,
}

/// The scheme of the header, and the sub-protocol before the token.
const BEARER: &str = "bearer";

impl Request {
    /// The token, from the first of these places that has one:
    /// - the header `Authorization: Bearer TOKEN`,
    /// - the query parameter of this name,
    /// - the sub-protocols `bearer, TOKEN`: the only place besides the URL where a browser can put it.
    pub(crate) fn token(&self, parameter: &str) -> Option<&str> {
        [
            self.lines("authorization").iter().find_map(|line| credentials(line)),
            self.query_string_parameters.as_ref().and_then(|query| query.get(parameter)).map(String::as_str),
            after_bearer(self.lines("sec-websocket-protocol")),
        ]
        .into_iter()
        .flatten()
        .find(|token| !token.is_empty())
    }

    /// The lines of a header.
    fn lines(&self, name: &str) -> &[String] {
        let all = self.multi_value_headers.as_ref().and_then(|headers| find(headers, name));
        let last = || self.headers.as_ref().and_then(|headers| find(headers, name)).map(slice::from_ref);
        all.map(Vec::as_slice).or_else(last).unwrap_or_default()
    }
}

fn find<'a, T>(headers: &'a HashMap<String, T>, name: &str) -> Option<&'a T> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// The token of a header with the scheme `Bearer`, in any case ([RFC 9110]).
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-11.1
fn credentials(header: &str) -> Option<&str> {
    let (scheme, token) = header.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(BEARER).then(|| token.trim())
}

/// The item after `bearer` in a list of sub-protocols, which may span several lines ([RFC 6455]). All characters of a
/// token are allowed in a sub-protocol.
///
/// [RFC 6455]: https://www.rfc-editor.org/rfc/rfc6455#section-11.3.4
fn after_bearer(lines: &[String]) -> Option<&str> {
    let mut items = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
    items.find(|item| item.eq_ignore_ascii_case(BEARER))?;
    items.next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn request(headers: &Value, query: &Value) -> Request {
        serde_json::from_value(json!({
            "type": "REQUEST",
            "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/live/$connect",
            "headers": headers,
            "queryStringParameters": query,
            "requestContext": {"connectionId": "BkQ3rc-0liACIhw=", "requestId": "BkQ3rHnGliAFsbw="},
        }))
        .unwrap()
    }

    #[test]
    fn the_token_is_in_the_header_the_query_or_the_sub_protocols() {
        for (headers, query) in [
            (json!({"Authorization": "Bearer a.b.c"}), json!(null)),
            (json!({"authorization": "bearer  a.b.c "}), json!({})),
            (json!({}), json!({"token": "a.b.c"})),
            (json!(null), json!({"token": "a.b.c", "room": "lobby"})),
            (json!({"Sec-WebSocket-Protocol": "bearer, a.b.c"}), json!(null)),
            (json!({"sec-websocket-protocol": "chat.v1,bearer,a.b.c,chat.v2"}), json!(null)),
            (json!({"sec-websocket-protocol": "Bearer, a.b.c"}), json!(null)),
        ] {
            assert_eq!(request(&headers, &query).token("token"), Some("a.b.c"), "{headers} {query}");
        }
    }

    #[test]
    fn the_first_place_that_has_one_counts() {
        let (headers, query) = (
            json!({"Authorization": "Bearer 1", "Sec-WebSocket-Protocol": "bearer, 3"}),
            json!({"token": "2", "access_token": "4"}),
        );
        assert_eq!(request(&headers, &query).token("token"), Some("1"));
        let headers = json!({"Authorization": "Basic MQ==", "Sec-WebSocket-Protocol": "bearer, 3"});
        assert_eq!(request(&headers, &query).token("token"), Some("2"));
        assert_eq!(request(&headers, &query).token("access_token"), Some("4"));
        assert_eq!(request(&headers, &json!({"token": ""})).token("token"), Some("3"));
    }

    #[test]
    fn elsewhere_there_is_none() {
        for headers in [
            json!({}),
            json!({"Authorization": ""}),
            json!({"Authorization": "a.b.c"}),
            json!({"Authorization": "Bearer"}),
            json!({"Authorization": "Bearer "}),
            json!({"Authorization": "Digest a.b.c"}),
            json!({"Sec-WebSocket-Protocol": "a.b.c"}),
            json!({"Sec-WebSocket-Protocol": "bearer"}),
            json!({"Sec-WebSocket-Protocol": "bearer,"}),
            json!({"Sec-WebSocket-Protocol": "a.b.c, bearer"}),
        ] {
            assert_eq!(request(&headers, &json!({"jwt": "a.b.c"})).token("token"), None, "{headers}");
        }
    }

    proptest! {
        #[test]
        fn any_headers_are_read(authorization in ".*", protocols in ".*", token in ".*") {
            let headers = json!({"Authorization": authorization, "Sec-WebSocket-Protocol": protocols});
            if let Some(found) = request(&headers, &json!({ "token": token })).token("token") {
                prop_assert!(!found.is_empty());
            }
        }
    }
}
