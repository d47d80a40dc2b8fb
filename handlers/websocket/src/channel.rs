//! A channel: a named set of connections that a message can be sent to.

use std::fmt;

use serde::Serialize;

/// The name of a channel.
///
/// Every connection is in the channel [`Channel::everyone`] from `$connect` on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Channel(String);

impl Channel {
    /// The channel that every connection is in, written `*`.
    pub fn everyone() -> Self {
        Self("*".to_owned())
    }

    /// The value of the table's hash key for this channel's rows in a shard.
    ///
    /// It ends in the shard's number, so that a channel can be spread over several partitions: see
    /// [`Shards`](crate::shards::Shards).
    pub(crate) fn partition_key(&self, shard: u8) -> String {
        format!("{}#{shard}", self.0)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
