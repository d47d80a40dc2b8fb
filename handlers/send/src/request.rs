//! What a client sends: `{"action": "send", "channel": "lobby", "message": …, "echo": true}`.

use std::borrow::Cow;

use lambda_websocket::{channel::Channel, event::Message, refusal::Refusal};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What to send, for who sent something else.
const USAGE: &str =
    r#"{"action": "send", "channel": a channel or "*", "message": any JSON, "echo": true or false}"#;

/// A request to pass a message on. A field that is not known is refused: who misspells `echo` should hear of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    /// The route's name; API Gateway has read it already.
    #[serde(rename = "action", borrow)]
    _action: Cow<'a, str>,
    /// Who gets the message.
    #[serde(default = "Channel::everyone")]
    pub(crate) channel: Channel,
    /// Any JSON, kept byte for byte.
    #[serde(borrow)]
    pub(crate) message: &'a RawValue,
    /// Whether the sender gets the message too, where it is in the channel.
    #[serde(default = "yes")]
    pub(crate) echo: bool,
}

fn yes() -> bool {
    true
}

impl<'a> Request<'a> {
    /// Reads a request to a channel that the sender may use.
    pub(crate) fn parse(event: &'a Message) -> Result<Self, Refusal> {
        let request: Self =
            serde_json::from_str(&event.body).map_err(|error| Refusal::unreadable(&error, USAGE))?;
        event.channels.check(&request.channel)?;
        Ok(request)
    }
}
