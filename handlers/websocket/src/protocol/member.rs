//! Who is in a channel, as its members are told.

use serde::Serialize;

use crate::protocol::{connection::ConnectionId, cursor::Cursor, principal::Principal};

/// A connection that is in a channel, and what others may know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Whose it is, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// When the connection was established, in milliseconds since the Unix epoch.
    pub connected_at: u64,
    /// Where it stands in the channel's list.
    #[serde(skip)]
    pub(crate) shard: u8,
}

impl Member {
    /// The place in the list from which those follow that come after it.
    pub fn cursor(&self) -> Cursor {
        Cursor { shard: self.shard, connection_id: self.connection_id.clone() }
    }
}
