//! The client's request: `{"action": "subscribe", "channel": "lobby", "since": 1700000000123}`, or one to `unsubscribe`
//! or `list`.

use lambda_websocket::{Channel, ErrorCode, Fields, Message, Rejection, protocol::cursor::Cursor};
use serde::Deserialize;

/// The expected request, as rejections show it.
const USAGE: &str = r#"{"action": "subscribe", "channel": name, "after": the seq of the last message seen, or "since": its sentAt}, {"action": "unsubscribe", "channel": name} or {"action": "list", "channel": name, "limit": 1 to 1000, "after": the next of the page before}"#;

/// A request about the members of a channel. Unknown fields are rejected.
#[derive(Debug)]
pub(crate) enum Request {
    /// Subscribes to a channel.
    Subscribe {
        /// The channel.
        channel: Channel,
        /// The missed messages to replay. `None`: no replay.
        missed: Option<Start>,
    },
    /// Unsubscribes from a channel.
    Unsubscribe {
        /// The channel.
        channel: Channel,
    },
    /// Lists the members of a channel.
    List {
        /// The channel.
        channel: Channel,
        /// The maximum number of members in the page.
        limit: Limit,
        /// The cursor where the page begins. `None`: it begins with the first member.
        after: Option<Cursor>,
    },
}

/// Where a replay begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// After the message with this number.
    After(u64),
    /// With what was sent since this time, in milliseconds since the Unix epoch.
    Since(u64),
}

/// The maximum number of members in a page: 1 to 1,000, and 100 by default.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Limit(pub(crate) u16);

impl Limit {
    const EXPECTED: &str = "a whole number from 1 to 1000";
    const MAX: u16 = 1_000;
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

/// The number is not a valid limit.
#[derive(Debug, thiserror::Error)]
#[error("a limit is {}", Limit::EXPECTED)]
pub(crate) struct InvalidLimit;

impl TryFrom<u64> for Limit {
    type Error = InvalidLimit;

    fn try_from(number: u64) -> Result<Self, InvalidLimit> {
        match u16::try_from(number) {
            Ok(limit @ 1..=Self::MAX) => Ok(Self(limit)),
            _ => Err(InvalidLimit),
        }
    }
}

impl Request {
    /// Parses a request, and checks that the client may use its channel in that way.
    pub(crate) fn parse(event: &Message) -> Result<Self, Rejection> {
        let request = Self::read(&event.body)?;
        let (Self::Subscribe { channel, .. } | Self::Unsubscribe { channel } | Self::List { channel, .. }) =
            &request;
        let mut own = Channel::of_connect(event.connection.principal.as_ref());
        if matches!(request, Self::Subscribe { .. }) && own.any(|own| own == *channel) {
            return Ok(request); // Whatever the patterns say: the client gets this channel's messages anyway.
        }
        event.channels.check(channel)?;
        if channel.is_reserved() && !matches!(request, Self::List { .. }) {
            let sentence = format!(
                "Who is in the channel {:?} is settled when you connect: you can neither enter nor leave it.",
                channel.as_str()
            );
            return Err(Rejection::new(ErrorCode::Forbidden, sentence));
        }
        Ok(request)
    }

    fn read(body: &str) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(body, USAGE)?;
        let action: Action = fields.required("action", r#""subscribe", "unsubscribe" or "list""#)?;
        let channel = fields.required("channel", Channel::EXPECTED)?;
        let request = match action {
            Action::Subscribe => {
                let after = fields.optional("after", "the seq of a message, or 0")?.flatten();
                let since = fields.optional("since", "the sentAt of a message, or 0")?.flatten();
                let missed = match (after, since) {
                    (Some(_), Some(_)) => {
                        let sentence =
                            r#"Ask for what you missed either "after" a number or "since" a time."#;
                        return Err(Rejection::new(ErrorCode::InvalidRequest, sentence));
                    }
                    (Some(after), None) => Some(Start::After(after)),
                    (None, since) => since.map(Start::Since),
                };
                Self::Subscribe { channel, missed }
            }
            Action::Unsubscribe => Self::Unsubscribe { channel },
            Action::List => Self::List {
                channel,
                limit: fields.optional("limit", Limit::EXPECTED)?.unwrap_or_default(),
                after: fields.optional("after", r#"the text that came as "next""#)?.flatten(),
            },
        };
        fields.end()?;
        Ok(request)
    }
}

/// The action of a request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Subscribe,
    Unsubscribe,
    List,
}
