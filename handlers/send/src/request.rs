//! What a client sends: `{"action": "send", "channel": "lobby", "message": …, "echo": true}`.

use lambda_websocket::{Channel, Fields, Message, Rejection};
use serde_json::value::RawValue;

/// What to send, for who sent something else.
const USAGE: &str =
    r#"{"action": "send", "channel": a channel or "*", "message": any JSON, "echo": true or false}"#;

/// A request to pass a message on. A field that is not known is refused: who misspells `echo` should hear of it.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Who gets the message.
    pub(crate) channel: Channel,
    /// Any JSON, kept byte for byte.
    pub(crate) message: &'a RawValue,
    /// Whether the sender gets the message too, where it is in the channel.
    pub(crate) echo: bool,
}

impl<'a> Request<'a> {
    /// Reads a request to a channel that the sender may use.
    pub(crate) fn parse(event: &'a Message) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(&event.body, USAGE)?;
        // The route's name; API Gateway has read it already.
        fields.required::<String>("action", "a text")?;
        let request = Self {
            channel: fields.optional("channel", Channel::EXPECTED)?.unwrap_or_else(Channel::everyone),
            message: fields.required("message", "any JSON")?,
            echo: fields.optional("echo", "true or false")?.unwrap_or(true),
        };
        fields.end()?;
        event.channels.check(&request.channel)?;
        Ok(request)
    }
}
