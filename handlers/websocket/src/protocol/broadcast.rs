//! A message on its way to a channel.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::protocol::{channel::Channel, connection::ConnectionId, cursor::ShardCursor, frame::MAX_BYTES};

/// How often these are posted to again: over a minute.
pub(crate) const MAX_RETRIES: u8 = 5;

/// The most connections that can be left out.
pub(crate) const MAX_EXCLUDED: usize = 1_000;

/// A message on its way to a channel, as far as it has yet to go.
#[derive(Clone, Debug)]
pub struct Broadcast {
    pub(crate) message_id: String,
    pub(crate) channel: Channel,
    /// The text as every recipient gets it, byte for byte.
    pub(crate) frame: Box<RawValue>,
    pub(crate) exclude: Vec<ConnectionId>,
    pub(crate) to: Recipients,
    /// How often these recipients were posted to before.
    pub(crate) retries: u8,
    /// When it was sent, where the history is yet to keep it.
    pub(crate) sent_at: Option<u64>,
}

/// Who of the channel is yet to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Recipients {
    /// All of them.
    Everyone,
    /// Those who come behind these places, each in a shard of its own.
    Cursor(Vec<ShardCursor>),
    /// These connections. They need not be in the channel.
    Connections(Vec<ConnectionId>),
}

/// The frame is longer than `@connections` accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the message would reach its recipients as {bytes} bytes; at most {MAX_BYTES} can be delivered")]
pub struct TooLarge {
    bytes: usize,
}

impl TooLarge {
    pub(crate) fn check(frame: &RawValue) -> Result<(), Self> {
        let bytes = frame.get().len();
        if bytes > MAX_BYTES { Err(Self { bytes }) } else { Ok(()) }
    }
}

impl Broadcast {
    /// A frame to everyone in a channel, under an id for the logs.
    ///
    /// # Errors
    /// When the frame is longer than [`MAX_BYTES`].
    pub fn new(
        message_id: impl Into<String>,
        channel: Channel,
        frame: Box<RawValue>,
    ) -> Result<Self, TooLarge> {
        TooLarge::check(&frame)?;
        let to = Recipients::Everyone;
        let message_id = message_id.into();
        Ok(Self { message_id, channel, frame, exclude: vec![], to, retries: 0, sent_at: None })
    }

    /// The same, but not to these: 1,000 at most, since the rest of a message to all but more is not read from the
    /// queue.
    #[must_use]
    pub fn except(self, exclude: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { exclude: exclude.into_iter().collect(), ..self }
    }

    /// The same, but only to these, in the channel or not.
    #[must_use]
    pub fn only(self, connections: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { to: Recipients::Connections(connections.into_iter().collect()), ..self }
    }

    /// The same, and kept in the channel's history, where there is one, as sent at this time in milliseconds since the
    /// Unix epoch. Who is left out may find it there.
    #[must_use]
    pub fn kept(self, sent_at: u64) -> Self {
        Self { sent_at: Some(sent_at), ..self }
    }

    /// What is left of it: the history has it.
    pub(crate) fn to(&self, to: Recipients) -> Self {
        Self { to, sent_at: None, ..self.clone() }
    }

    /// The same to these connections, once more: nobody of them is left out.
    pub(crate) fn again(&self, connections: &[ConnectionId]) -> Self {
        let Self { message_id, channel, frame, retries, .. } = self.clone();
        let to = Recipients::Connections(connections.to_vec());
        Self { message_id, channel, frame, exclude: vec![], to, retries: retries + 1, sent_at: None }
    }
}
