//! The client's request: `{"action": "send", "channel": "lobby", "message": …, "echo": true}`.

use lambda_websocket::{Channel, Fields, Message, Rejection, protocol::idempotency::MessageId};
use serde_json::value::RawValue;

/// The expected request, as rejections show it.
const USAGE: &str = r#"{"action": "send", "channel": a channel or "*", "message": any JSON, "echo": true or false, "id": a text of 1 to 128 characters}"#;

/// A request to broadcast a message. Unknown fields are rejected, so that a misspelled `echo` gets an error.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The channel to broadcast to.
    pub(crate) channel: Channel,
    /// Any JSON, kept byte for byte.
    pub(crate) message: &'a RawValue,
    /// Whether the sender gets the message too, if it is in the channel.
    pub(crate) echo: bool,
    /// What tells the message from the sender's others, also where it is sent again.
    pub(crate) id: Option<MessageId>,
}

impl<'a> Request<'a> {
    /// Parses a request, and checks that the sender may use its channel.
    pub(crate) fn parse(event: &'a Message) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(&event.body, USAGE)?;
        // The route key. API Gateway has read it already.
        fields.required::<String>("action", "a text")?;
        let request = Self {
            channel: fields.optional("channel", Channel::EXPECTED)?.unwrap_or_else(Channel::everyone),
            message: fields.required("message", "any JSON")?,
            echo: fields.optional("echo", "true or false")?.unwrap_or(true),
            id: fields.optional("id", MessageId::EXPECTED)?,
        };
        fields.end()?;
        event.channels.check(&request.channel)?;
        Ok(request)
    }
}
