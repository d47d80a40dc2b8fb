//! Tells a channel who joins and who leaves it: who, not which connection. A user with two devices joins with the first
//! and leaves with the last.
//!
//! Off until [`ANNOUNCE_CHANNELS`] says for which channels. An announcement is a broadcast that begins in the queue: the
//! function that noticed spends no time on it.
//!
//! It can come twice, and two of them in either order. A leave is announced once the connection is known to be closed: by
//! `$disconnect`, which is best effort, or else when a message finds it gone. So announcements keep a list up to date, and
//! the list itself is [`Registry::list`].

use std::{pin::pin, time::Duration};

use aws_config::SdkConfig;
use futures::TryStreamExt;

use crate::{
    aws,
    broadcast::{Broadcast, Remainder},
    channel::Channel,
    config,
    connection::{Connection, ConnectionId},
    error::{Error, chain},
    frame::Frame,
    log::visible,
    patterns::ChannelPatterns,
    principal::Principal,
    queue::Queue,
    registry::{Departure, Registry, Subscription},
    time::unix_millis,
};

/// The environment variable with [patterns](ChannelPatterns) of the channels whose joins and leaves are announced; unset: none.
pub const ANNOUNCE_CHANNELS: &str = "ANNOUNCE_CHANNELS";

/// What it takes to tell channels who joins and leaves.
#[derive(Clone, Debug)]
pub struct Announcer {
    /// Who is where.
    pub registry: Registry,
    /// Where announcements begin.
    pub queue: Queue,
    /// The channels to tell. Those that `$connect` decides about are never told.
    pub channels: ChannelPatterns,
}

impl Announcer {
    /// What the environment says; nothing where it names no channels.
    ///
    /// # Errors
    /// When the patterns cannot be read, or there is no queue.
    pub fn from_env(sdk: &SdkConfig, registry: &Registry) -> Result<Option<Self>, lambda_runtime::Error> {
        let Some(patterns) = config::optional(ANNOUNCE_CHANNELS) else { return Ok(None) };
        Ok(Some(Self {
            registry: registry.clone(),
            queue: Queue::new(aws::sqs(sdk), config::required(config::PUBLISH_QUEUE_URL)?),
            channels: ChannelPatterns::parse(&patterns)?,
        }))
    }

    /// Puts a connection into a channel as [`Registry::subscribe`] does, and tells the channel if somebody new is there.
    ///
    /// # Errors
    /// When the table cannot be read or written, or the queue does not take the announcement.
    pub async fn subscribe(
        &self,
        channel: &Channel,
        connection: &Connection,
        most: usize,
    ) -> Result<Subscription, Error> {
        let Connection { id, principal, .. } = connection;
        let principal = principal.as_ref();
        if !self.tells(channel) {
            return Ok(self.registry.subscribe(channel, connection, most).await?);
        }
        // Asked before and after: of two devices that join together at least one is the first, and one that joins while
        // the other leaves is not taken for the second.
        let was_there = self.is_there(channel, principal, id).await?;
        let subscription = self.registry.subscribe(channel, connection, most).await?;
        if subscription == Subscription::Made && !(was_there && self.is_there(channel, principal, id).await?)
        {
            let frame = Frame::Joined { channel, connection_id: id, principal, at: unix_millis() };
            self.tell(channel, id, &frame).await?;
        }
        Ok(subscription)
    }

    /// Tells a channel that somebody left it, where no other device of theirs stays.
    ///
    /// Where that fails, the log says so and nobody hears of it: the row that told who left is deleted.
    pub async fn left(&self, departure: &Departure) {
        if let Err(error) = self.try_left(departure).await {
            let Departure { channel, connection_id, .. } = departure;
            let channel = visible(channel.as_str());
            tracing::error!(%connection_id, channel, error = chain(&error), "a leave is not announced");
        }
    }

    async fn try_left(&self, departure: &Departure) -> Result<(), Error> {
        let Departure { channel, connection_id, principal } = departure;
        let principal = principal.as_ref();
        if !self.tells(channel) || self.is_there(channel, principal, connection_id).await? {
            return Ok(());
        }
        let frame = Frame::Left { channel, connection_id, principal, at: unix_millis() };
        self.tell(channel, connection_id, &frame).await
    }

    fn tells(&self, channel: &Channel) -> bool {
        !channel.is_reserved() && self.channels.allows(channel)
    }

    /// Whether a principal is in a channel by another connection than this one.
    async fn is_there(
        &self,
        channel: &Channel,
        principal: Option<&Principal>,
        but: &ConnectionId,
    ) -> Result<bool, Error> {
        let Some(principal) = principal else { return Ok(false) };
        let devices = Channel::user(principal);
        let mut devices = pin!(self.registry.members(&devices));
        while let Some(device) = devices.try_next().await? {
            if device.id != *but && self.registry.is_member(channel, &device.id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn tell(&self, channel: &Channel, about: &ConnectionId, frame: &Frame<'_>) -> Result<(), Error> {
        let remainder = Broadcast::new(about.as_str(), channel.clone(), frame.to_json())
            .map_err(Error::other)?
            .except([about.clone()]);
        Ok(self.queue.send(&Remainder { remainder }, Duration::ZERO).await?)
    }
}
