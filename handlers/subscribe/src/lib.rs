//! The function of the actions `subscribe`, `unsubscribe` and `list`: changes and lists the members of a channel.

mod max;
mod replay;
mod request;

use std::{pin::pin, time::Duration};

use futures::TryStreamExt;
use lambda_websocket::{
    Channel, Error, ErrorCode, Frame, Message, PresenceNotifier, Registry, Rejection, Response,
    delivery::{departure, error::DeliveryError},
    log::chain,
    protocol::{
        cursor::Cursor,
        frame::{MAX_BYTES, Replay},
        member::Member,
    },
    store::registry::Subscription,
};
use request::{Limit, Request, Start};
use tokio::time::{Instant, timeout_at};

pub use max::{InvalidMaxSubscriptions, MAX_SUBSCRIPTIONS, MaxSubscriptions};
pub use replay::Replayer;

/// The maximum size of a frame of members without the members, in bytes: above all the channel, a cursor, and the client's reference.
const ENVELOPE: usize = 2 * 1024;

/// The time at the end of an invocation that is reserved for the response alone.
const FOR_THE_REPLY: Duration = Duration::from_millis(300);

/// Changes and lists the members of channels.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    /// The channels and the connections in them.
    pub registry: Registry,
    /// The maximum number of subscriptions of a connection.
    pub max: MaxSubscriptions,
    /// Tells channels which members join and leave. `None`: no channel is told.
    pub notifier: Option<PresenceNotifier>,
    /// Replays missed messages to clients. `None`: no messages are kept.
    pub replayer: Option<Replayer>,
}

/// Subscribes the connection to a channel, unsubscribes it, or lists the channel's members. If the client asked for
/// missed messages, it gets them before the subscription is confirmed.
///
/// A request that is invalid, or for a channel that the client may not use, is rejected with an error frame.
///
/// # Errors
/// When the table, or the history, could not be read or written.
pub async fn subscribe(subscriptions: &Subscriptions, event: Message) -> Result<Response, Error> {
    match Request::parse(&event) {
        Ok(Request::Subscribe { channel, missed }) => subscriptions.add(&channel, missed, &event).await,
        Ok(Request::Unsubscribe { channel }) => subscriptions.remove(&channel, &event).await,
        Ok(Request::List { channel, limit, after }) => {
            subscriptions.list(&channel, limit, after.as_ref(), &event).await
        }
        Err(rejection) => Ok(rejection.into_response(&event)),
    }
}

impl Subscriptions {
    async fn add(
        &self,
        channel: &Channel,
        missed: Option<Start>,
        event: &Message,
    ) -> Result<Response, Error> {
        let Some(replayer) = &self.replayer else {
            let nothing = Replay { replayed: 0, complete: false, more: false, missing: true };
            return self.enter(channel, event, async || Ok((None, missed.map(|_| nothing)))).await;
        };
        let Some(start) = missed else {
            // After the subscription: messages that take a later number reach the client as broadcasts.
            let last = async || {
                Ok((Some(replayer.history.last_seq(channel).await.map_err(DeliveryError::from)?), None))
            };
            return self.enter(channel, event, last).await;
        };
        // One replay at a time: a request of a few bytes brings hundreds of messages.
        let Message { connection, request_id, deadline, .. } = event;
        let seconds = deadline.saturating_duration_since(Instant::now()).as_secs() + 1;
        if !self.registry.begin_replay(&connection.id, request_id, seconds).await? {
            let sentence = "Another replay to this connection is under way: ask again when it has ended.";
            return Ok(Rejection::new(ErrorCode::TooManyRequests, sentence).into_response(event));
        }
        // After the subscription: messages sent from then on reach the client as broadcasts.
        let replay = async || {
            let (seq, replay) = replayer.replay(channel, start, event).await?;
            Ok((Some(seq), Some(replay)))
        };
        let response = self.enter(channel, event, replay).await;
        let end = timeout_at(*deadline - FOR_THE_REPLY, self.registry.end_replay(&connection.id, request_id));
        match end.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(connection_id = %connection.id, request_id, error = chain(&error), "replay row not deleted");
            }
            Err(_) => tracing::warn!(connection_id = %connection.id, request_id, "replay row not deleted"),
        }
        response
    }

    /// Subscribes the connection to a channel, and then replays.
    async fn enter(
        &self,
        channel: &Channel,
        event: &Message,
        replay: impl AsyncFnOnce() -> Result<(Option<u64>, Option<Replay>), Error>,
    ) -> Result<Response, Error> {
        let Message { connection, request_id, .. } = event;
        let MaxSubscriptions(max) = self.max;
        let subscription = match &self.notifier {
            Some(notifier) => notifier.subscribe(channel, connection, max.into()).await?,
            None => self.registry.subscribe(channel, connection, max.into()).await?,
        };
        match subscription {
            Subscription::Made | Subscription::Kept => {
                let (seq, replay) = replay().await?;
                let (replayed, complete) = replay.map(|replay| (replay.replayed, replay.complete)).unzip();
                tracing::info!(connection_id = %connection.id, request_id, replayed, complete, "subscribed");
                let (connection_id, principal) = (&connection.id, connection.principal.as_ref());
                let request = event.request();
                Ok(Response::frame(&Frame::Subscribed {
                    channel,
                    connection_id,
                    principal,
                    request,
                    seq,
                    replay,
                }))
            }
            Subscription::TooMany => {
                let sentence =
                    format!("You may be subscribed to {max} channels at once: unsubscribe from one first.");
                Ok(Rejection::new(ErrorCode::TooManySubscriptions, sentence).into_response(event))
            }
        }
    }

    async fn remove(&self, channel: &Channel, event: &Message) -> Result<Response, Error> {
        let Message { connection, request_id, .. } = event;
        departure::unsubscribe(&self.registry, self.notifier.as_ref(), channel, &connection.id).await?;
        tracing::info!(connection_id = %connection.id, request_id, "unsubscribed");
        Ok(Response::frame(&Frame::Unsubscribed { channel, request: event.request() }))
    }

    /// A page ends at the limit, or before it if the frame is full.
    async fn list(
        &self,
        channel: &Channel,
        Limit(limit): Limit,
        after: Option<&Cursor>,
        event: &Message,
    ) -> Result<Response, Error> {
        // Before the members: joins and leaves up to this number are in the list.
        let seq = match (&self.replayer, after) {
            (Some(replayer), None) => {
                Some(replayer.history.last_seq(channel).await.map_err(DeliveryError::from)?)
            }
            _ => None,
        };
        // One more than the page holds: it shows whether there is another page.
        let mut listed = pin!(self.registry.list(channel, after, limit + 1));
        let mut members = Vec::new();
        let mut room = MAX_BYTES - ENVELOPE;
        let mut next = None;
        while let Some(member) = listed.try_next().await? {
            let bytes = serde_json::to_string(&member).map_err(Error::other)?.len() + ",".len();
            if members.len() == usize::from(limit) || bytes > room {
                next = members.last().map(Member::cursor);
                break;
            }
            room -= bytes;
            members.push(member);
        }
        let Message { connection, request_id, .. } = event;
        tracing::info!(connection_id = %connection.id, request_id, members = members.len(), "listed");
        let request = event.request();
        Ok(Response::frame(&Frame::Members { channel, members: &members, next, seq, request }))
    }
}
