//! What a client sends: `{"action": "send", "message": …, "echo": true}`.

use std::borrow::Cow;

use lambda_websocket::frame::ErrorCode;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A request to pass a message on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    /// The route's name; API Gateway has read it already.
    #[serde(rename = "action", borrow)]
    _action: Cow<'a, str>,
    /// Any JSON, kept byte for byte.
    #[serde(borrow)]
    pub(crate) message: &'a RawValue,
    /// Whether the sender gets the message too.
    #[serde(default = "yes")]
    pub(crate) echo: bool,
}

fn yes() -> bool {
    true
}

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Invalid(serde_json::Error);

impl<'a> Request<'a> {
    /// Reads a request. A field that is not known is refused: who misspells `echo` should hear of it.
    pub(crate) fn parse(body: &'a str) -> Result<Self, Invalid> {
        serde_json::from_str(body).map_err(Invalid)
    }
}

impl Invalid {
    pub(crate) fn code(&self) -> ErrorCode {
        if self.0.is_data() { ErrorCode::InvalidRequest } else { ErrorCode::InvalidJson }
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}. Send {{\"action\": \"send\", \"message\": any JSON, \"echo\": true or false}}.",
            self.0
        )
    }
}
