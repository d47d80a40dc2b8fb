//! A message on its way to a channel.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::protocol::{
    channel::Channel,
    connection::ConnectionId,
    cursor::ShardCursor,
    frame::{self, MAX_BYTES},
    idempotency::IdempotencyKey,
};

/// The maximum number of retries of a broadcast's failed posts: over a minute in total.
pub(crate) const MAX_RETRIES: u8 = 5;

/// The maximum number of connections that a broadcast can exclude.
pub(crate) const MAX_EXCLUDED: usize = 1_000;

/// A message on its way to a channel, with the recipients that it has yet to reach.
#[derive(Clone, Debug)]
pub struct Broadcast {
    pub(crate) message_id: String,
    pub(crate) channel: Channel,
    /// The text that every recipient gets, byte for byte.
    pub(crate) frame: Box<RawValue>,
    pub(crate) exclude: Vec<ConnectionId>,
    /// Whether excluded connections are told the number of the message, so that they do not miss it.
    pub(crate) tells_excluded: bool,
    pub(crate) to: Recipients,
    /// How many times these recipients were posted to before.
    pub(crate) retries: u8,
    /// How many posts a second this part of the broadcast takes of the account's rate; `None`: as many as it can.
    pub(crate) rate: Option<NonZeroU32>,
    /// Whether the history has yet to record the message.
    pub(crate) keep: Keep,
}

/// Whether the history, if there is one, records a message before it is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It does not, or it has the message already.
    No,
    /// It does.
    Yes,
    /// It does, unless it has recorded it under that key before.
    Once(IdempotencyKey),
}

/// The recipients that have yet to be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Recipients {
    /// All members of the channel.
    Everyone,
    /// The members in these ranges, each in a different shard.
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
        Self::check_bytes(frame.get().len())
    }

    fn check_bytes(bytes: usize) -> Result<(), Self> {
        if bytes > MAX_BYTES { Err(Self { bytes }) } else { Ok(()) }
    }
}

impl Broadcast {
    /// Makes a broadcast of a frame to all members of a channel. The id is for the logs.
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
        Ok(Self {
            message_id,
            channel,
            frame,
            exclude: vec![],
            tells_excluded: false,
            to,
            retries: 0,
            rate: None,
            keep: Keep::No,
        })
    }

    /// Excludes these connections: at most 1,000. A continuation that excludes more cannot be read from the queue.
    #[must_use]
    pub fn except(self, exclude: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { exclude: exclude.into_iter().collect(), ..self }
    }

    /// Tells excluded connections that are in the channel the number of the message, if it has one: they do not know
    /// otherwise that it is not missing.
    #[must_use]
    pub fn telling_excluded(self) -> Self {
        Self { tells_excluded: true, ..self }
    }

    /// Limits the recipients to these connections, in the channel or not.
    #[must_use]
    pub fn only(self, connections: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { to: Recipients::Connections(connections.into_iter().collect()), ..self }
    }

    /// Marks the message for the channel's history, if there is one. There it gets a number, which its recipients see
    /// as `seq`, if the frame is an object. Excluded connections may find it there.
    ///
    /// # Errors
    /// When the frame with its number would be longer than [`MAX_BYTES`].
    pub fn kept(self) -> Result<Self, TooLarge> {
        TooLarge::check_bytes(self.frame.get().len() + frame::SEQ_BYTES)?;
        Ok(Self { keep: Keep::Yes, ..self })
    }

    /// As [`kept`](Self::kept): if the history has recorded a message under that key, this is the same message.
    ///
    /// # Errors
    /// As there.
    pub fn kept_once(self, key: IdempotencyKey) -> Result<Self, TooLarge> {
        Ok(Self { keep: Keep::Once(key), ..self.kept()? })
    }

    /// The same broadcast, recorded as this frame.
    pub(crate) fn recorded(&self, frame: Box<RawValue>) -> Self {
        Self { frame, keep: Keep::No, ..self.clone() }
    }

    /// The same broadcast to the remaining recipients. The history already has the message.
    pub(crate) fn to(&self, to: Recipients) -> Self {
        Self { to, keep: Keep::No, ..self.clone() }
    }

    /// Limits the rate of the posts.
    pub(crate) fn at_rate(self, rate: NonZeroU32) -> Self {
        Self { rate: Some(rate), ..self }
    }

    /// A retry of the broadcast for these connections, none of them excluded.
    pub(crate) fn again(&self, connections: &[ConnectionId]) -> Self {
        let to = Recipients::Connections(connections.to_vec());
        let retries = self.retries + 1;
        Self { exclude: vec![], retries, rate: None, ..self.to(to) }
    }
}
