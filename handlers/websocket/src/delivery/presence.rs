//! Announces joins and leaves to channels, per principal and not per connection. A principal with two devices joins
//! with the first and leaves with the last.
//!
//! Off until [`ANNOUNCE_CHANNELS`] says which channels are announced. An announcement is a broadcast that begins in
//! the queue, so the function that notices a join or a leave spends no time on it. They keep a list of members up to
//! date; the list itself is [`Registry::list`]. The module [`departure`](crate::delivery::departure) describes how
//! leaves are noticed and announced.
//!
//! Without a history, announcements are best effort: they may be duplicated, and two of them may come in either order.
//!
//! With a history, they are numbered with the channel's messages, and the last one about somebody tells how it is.
//! Whoever changes a member's row has the change announced afterwards; a task that was queued before, with a delay,
//! does it if the function died in between. The function `publish` announces a change only if it still is so, and
//! looks again when the announcement has its number: if it is not so any more, it has the opposite announced, too.
//! A change is in the table before it has a number. So a list that was read after a number has all changes up to it.

use std::time::Duration;

use aws_config::SdkConfig;
use tokio::time::Instant;

use crate::{
    aws, config,
    delivery::{
        announcement::{Announcement, Kind},
        error::DeliveryError,
        task_queue::TaskQueue,
    },
    log::chain,
    protocol::{
        channel::Channel,
        connection::{Connection, ConnectionId},
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

/// After this delay, the request of a client is over: functions behind a route have 29 seconds.
pub(crate) const AFTER_THE_REQUEST: Duration = Duration::from_secs(30);

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
    /// Whether announcements are numbered: there is a history.
    pub is_numbered: bool,
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
            is_numbered: config::optional(config::HISTORY_TABLE).is_some(),
        }))
    }

    /// Puts a connection into a channel as [`Registry::subscribe`] does, and announces the join if the principal is
    /// new there.
    ///
    /// The announcement goes into the queue first, so that every member is announced. If the queue does not take it,
    /// the client is not in the channel, and is announced when it asks again. Without a history, an announcement is
    /// duplicated if the client asks again before the index shows its row, or if the row is not written.
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
        let joined = Announcement {
            channel: channel.clone(),
            connection_id: id.clone(),
            principal: principal.clone(),
            kind: Kind::Joined,
            at: unix_millis(),
        };
        let principal = principal.as_ref();
        let is_in = match self.registry.expected_subscription(channel, id, max).await? {
            Subscription::TooMany => return Ok(Subscription::TooMany),
            // The index may still show a row that was deleted just now.
            Subscription::Kept => self.registry.is_member(channel, id).await?,
            Subscription::Made => false,
        };
        let is_first = !is_in && !self.joined_before(channel, principal, id).await?;
        if is_first {
            self.announce_before(&joined).await?;
        }
        let is_new = self.registry.add(channel, connection).await?;
        if is_new && is_first {
            self.announce_after(joined).await;
        } else if is_new {
            // Checked again: the other device may have left meanwhile, and been announced as the last.
            let told = async {
                if self.joined_before(channel, principal, id).await? {
                    Ok(())
                } else {
                    self.announce(joined, Duration::ZERO).await
                }
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

    /// Whether a connection, or another one of its principal, is in a channel. If that takes too long to find out, the
    /// answer is yes.
    pub(crate) async fn is_so(&self, announcement: &Announcement) -> Result<bool, DeliveryError> {
        let Announcement { channel, connection_id, principal, .. } = announcement;
        let is_in = self.registry.is_member(channel, connection_id).await?
            || self.is_there(channel, principal.as_ref(), connection_id).await?;
        Ok(is_in == announcement.is_there())
    }

    /// Announces a change that is about to be made. With a history, it is announced once it must have been made.
    pub(crate) async fn announce_before(&self, announcement: &Announcement) -> Result<(), DeliveryError> {
        let delay = if self.is_numbered { AFTER_THE_REQUEST } else { Duration::ZERO };
        self.announce(announcement.clone(), delay).await
    }

    /// Announces a change that was made, unless it was announced before. If the queue does not take it, it is announced
    /// later.
    pub(crate) async fn announce_after(&self, announcement: Announcement) {
        if self.is_numbered
            && let Err(error) = self.announce(announcement, Duration::ZERO).await
        {
            tracing::warn!(error = chain(&error), "announced later");
        }
    }

    async fn announce(&self, announcement: Announcement, delay: Duration) -> Result<(), DeliveryError> {
        let task =
            if self.is_numbered { announcement.into() } else { Task::Broadcast(announcement.broadcast()?) };
        Ok(self.queue.send([(task, delay)], Instant::now() + QUEUE_TIME).await?)
    }
}
