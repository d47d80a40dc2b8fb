//! A member of a channel, as other members see it.

use serde::Serialize;

use crate::protocol::{connection::ConnectionId, cursor::Cursor, principal::Principal};

/// A connection in a channel, with the data that others may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The principal, if authenticated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Principal>,
    /// When the connection was established, in milliseconds since the Unix epoch.
    pub connected_at: u64,
    /// The shard that holds its row.
    #[serde(skip)]
    pub(crate) shard: u8,
}

impl Member {
    /// The place after this member in the list: the next page begins there.
    pub fn cursor(&self) -> Cursor {
        Cursor { shard: self.shard, connection_id: self.connection_id.clone() }
    }
}
