//! An announcement: that somebody joined or left a channel.

use crate::{
    protocol::{
        broadcast::{Broadcast, TooLarge},
        channel::Channel,
        connection::ConnectionId,
        frame::Frame,
        idempotency::IdempotencyKey,
        principal::Principal,
        task::{Join, Leave, Task},
    },
    time::unix_millis,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Joined,
    /// The connection may come back to the channel.
    Left,
    /// The connection is closed: however often that is noticed, it left once.
    Closed,
}

/// That somebody joined or left a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) channel: Channel,
    pub(crate) connection_id: ConnectionId,
    /// The principal, if authenticated.
    pub(crate) principal: Option<Principal>,
    pub(crate) kind: Kind,
    /// When that was noticed, in milliseconds since the Unix epoch.
    pub(crate) at: u64,
}

impl Announcement {
    /// The message to the channel. The connection that it is about is left out.
    pub(crate) fn broadcast(&self) -> Result<Broadcast, TooLarge> {
        let Self { channel, connection_id, principal, kind: _, at } = self;
        let (principal, at) = (principal.as_ref(), *at);
        let frame = if self.is_there() {
            Frame::Joined { channel, connection_id, principal, at }
        } else {
            Frame::Left { channel, connection_id, principal, at }
        };
        let broadcast = Broadcast::new(connection_id.as_str(), channel.clone(), frame.to_json())?;
        Ok(broadcast.except([connection_id.clone()]).telling_excluded())
    }

    /// The key under which the history has it once.
    pub(crate) fn key(&self) -> IdempotencyKey {
        let time = self.at.to_string();
        let (kind, time) = match self.kind {
            Kind::Joined => ("joined", time.as_str()),
            Kind::Left => ("left", time.as_str()),
            Kind::Closed => ("closed", ""),
        };
        IdempotencyKey::of_announcement(kind, &self.channel, &self.connection_id, time)
    }

    /// Whether somebody is in the channel, if it still is so.
    pub(crate) fn is_there(&self) -> bool {
        self.kind == Kind::Joined
    }

    /// The opposite, noticed now.
    pub(crate) fn reversed(self) -> Self {
        let kind = if self.is_there() { Kind::Left } else { Kind::Joined };
        Self { kind, at: unix_millis(), ..self }
    }
}

impl From<Join> for Announcement {
    fn from(Join { channel, connection_id, principal, at }: Join) -> Self {
        Self { channel, connection_id, principal, kind: Kind::Joined, at }
    }
}

impl From<Leave> for Announcement {
    fn from(Leave { channel, connection_id, principal, shard: _, is_closed, at }: Leave) -> Self {
        let kind = if is_closed { Kind::Closed } else { Kind::Left };
        Self { channel, connection_id, principal, kind, at }
    }
}

impl From<Announcement> for Task {
    fn from(Announcement { channel, connection_id, principal, kind, at }: Announcement) -> Self {
        if kind == Kind::Joined {
            return Self::Join(Join { channel, connection_id, principal, at });
        }
        let is_closed = kind == Kind::Closed;
        Self::Leave(Leave { channel, connection_id, principal, shard: None, is_closed, at })
    }
}
