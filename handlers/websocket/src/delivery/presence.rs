//! Announces joins and leaves to channels, per principal and not per connection. A principal with two devices joins
//! with the first and leaves with the last.
//!
//! Off until [`ANNOUNCE_CHANNELS`] says which channels are announced. An announcement is a broadcast that begins in
//! the queue, so the function that notices a join or a leave spends no time on it.
//!
//! Announcements may be duplicated, and two of them may come in either order. They keep a list of members up to date;
//! the list itself is [`Registry::list`]. The module [`departure`](crate::delivery::departure) describes how leaves
//! are noticed and announced.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use crate::{
    aws, config,
    delivery::{error::DeliveryError, task_queue::TaskQueue},
    protocol::{
        broadcast::Broadcast,
        channel::Channel,
        connection::{Connection, ConnectionId},
        frame::Frame,
        permissions::ChannelPermissions,
        principal::Principal,
        task::Task,
    },
    store::{
        error::StoreError,
        registry::{Registry, Subscription},
    },
    time::unix_millis,
};

/// The environment variable with [patterns](ChannelPermissions) of the channels whose joins and leaves are announced;
/// unset: none.
pub const ANNOUNCE_CHANNELS: &str = "ANNOUNCE_CHANNELS";

/// How long the queue may take for an announcement that a client waits for.
const QUEUE_TIME: Duration = Duration::from_secs(3);

/// Announces joins and leaves to channels.
#[derive(Clone, Debug)]
pub struct PresenceNotifier {
    /// The connections and their channels.
    pub registry: Registry,
    /// The queue where announcements begin.
    pub queue: TaskQueue,
    /// The announced channels. Those that `$connect` decides about are never announced.
    pub channels: ChannelPermissions,
}

impl PresenceNotifier {
    /// Builds the notifier from the environment variables; `None` if they name no channels.
    ///
    /// # Errors
    /// When the patterns cannot be read, or there is no queue.
    pub fn from_env(sdk: &SdkConfig, registry: &Registry) -> Result<Option<Self>, lambda_runtime::Error> {
        let Some(patterns) = config::optional(ANNOUNCE_CHANNELS) else { return Ok(None) };
        let url = config::delivery_queue_url()?;
        Ok(Some(Self {
            registry: registry.clone(),
            queue: TaskQueue::new(
                aws::sqs(sdk),
                url.map_or_else(|| config::required(config::DELIVERY_QUEUE_URL), Ok)?,
            ),
            channels: ChannelPermissions::parse(&patterns)?,
        }))
    }

    /// Puts a connection into a channel as [`Registry::subscribe`] does, and announces the join if the principal is
    /// new there.
    ///
    /// The announcement goes into the queue first, so that every member is announced. If the queue does not take it,
    /// the client is not in the channel, and is announced when it asks again. An announcement is duplicated if the
    /// client asks again before the index shows its row, or if the row is not written.
    ///
    /// # Errors
    /// When the table cannot be read or written, or the queue does not take the announcement.
    pub async fn subscribe(
        &self,
        channel: &Channel,
        connection: &Connection,
        max: usize,
    ) -> Result<Subscription, DeliveryError> {
        if !self.tells(channel) {
            return Ok(self.registry.subscribe(channel, connection, max).await?);
        }
        let Connection { id, principal, .. } = connection;
        let principal = principal.as_ref();
        let joined = async || {
            let frame = Frame::Joined { channel, connection_id: id, principal, at: unix_millis() };
            self.tell(channel, id, &frame).await
        };

        let is_in = match self.registry.expected_subscription(channel, id, max).await? {
            Subscription::TooMany => return Ok(Subscription::TooMany),
            // The index may still show a row that was deleted just now.
            Subscription::Kept => self.registry.is_member(channel, id).await?,
            Subscription::Made => false,
        };
        let is_told = !is_in && !self.joined_before(channel, principal, id).await?;
        if is_told {
            joined().await?;
        }
        let is_new = self.registry.add(channel, connection).await?;
        if is_new && !is_told {
            // Checked again: the other device may have left meanwhile, and been announced as the last.
            let told = async {
                if self.joined_before(channel, principal, id).await? { Ok(()) } else { joined().await }
            };
            if let Err(error) = told.await {
                // The join may not be announced, so the connection is taken out again: the client has to ask again.
                self.registry.delete(self.registry.rows_in(channel, id).await?, None).await?;
                return Err(error);
            }
        }
        Ok(if is_new { Subscription::Made } else { Subscription::Kept })
    }

    /// Whether joins and leaves of the channel are announced.
    pub(crate) fn tells(&self, channel: &Channel) -> bool {
        !channel.is_reserved() && self.channels.allows(channel)
    }

    /// Whether a join need not be announced. If that takes too long to find out, it is announced: twice is better
    /// than never.
    async fn joined_before(
        &self,
        channel: &Channel,
        principal: Option<&Principal>,
        but: &ConnectionId,
    ) -> Result<bool, DeliveryError> {
        Ok(self.elsewhere(channel, principal, but).await?.unwrap_or(false))
    }

    /// Whether a principal is in a channel by another connection than this one. If that takes too long to find out,
    /// the answer is yes: among so many connections, another may well be there. A principal that is there must not be
    /// announced as gone.
    pub(crate) async fn is_there(
        &self,
        channel: &Channel,
        principal: Option<&Principal>,
        but: &ConnectionId,
    ) -> Result<bool, DeliveryError> {
        Ok(self.elsewhere(channel, principal, but).await?.unwrap_or(true))
    }

    async fn elsewhere(
        &self,
        channel: &Channel,
        principal: Option<&Principal>,
        but: &ConnectionId,
    ) -> Result<Option<bool>, StoreError> {
        match principal {
            Some(principal) => self.registry.is_there(channel, principal, but).await,
            None => Ok(Some(false)),
        }
    }

    /// Announces a frame to a channel, but not to the connection that it is about.
    pub(crate) async fn tell(
        &self,
        channel: &Channel,
        about: &ConnectionId,
        frame: &Frame<'_>,
    ) -> Result<(), DeliveryError> {
        let announcement =
            Broadcast::new(about.as_str(), channel.clone(), frame.to_json())?.except([about.clone()]);
        let announcement = (Task::Broadcast(announcement), Duration::ZERO);
        Ok(self.queue.send([announcement], Instant::now() + QUEUE_TIME).await?)
    }
}
