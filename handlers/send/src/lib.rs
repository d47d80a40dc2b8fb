//! The function of the action `send`: passes a message on to everyone, or to a channel.

mod request;

use std::{future::ready, time::Duration};

use futures::TryStreamExt;
use lambda_websocket::{
    error::{Error, chain},
    event::Message,
    fanout::Fanout,
    frame::{ErrorCode, Frame, MAX_BYTES},
    refusal::Refusal,
    registry::Registry,
    reply::Reply,
};
use request::Request;

/// The part of the invocation's time that is left for what follows the posts: to forget who is gone, and to answer.
const FOR_THE_REST: Duration = Duration::from_secs(3);

/// What it takes to reach a channel.
#[derive(Clone, Debug)]
pub struct Broadcaster {
    /// Who is connected.
    pub registry: Registry,
    /// The way to them.
    pub fanout: Fanout,
}

/// Passes the message on to every connection in the channel, the sender's included if it is there and did not say
/// `"echo": false`, and answers with how many it reached. The sender need not be in the channel.
///
/// A message that is wrong, too long or to a channel that the sender may not use is answered with an error frame,
/// and goes to nobody.
///
/// # Errors
/// When the connections could not be read to the end. Some recipients may have the message by then.
pub async fn send(broadcaster: &Broadcaster, event: Message) -> Result<Reply, Error> {
    let Broadcaster { registry, fanout } = broadcaster;
    let sender = &event.connection;
    let Request { channel, message, echo, .. } = match Request::parse(&event) {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal.reply(&event)),
    };

    let message = Frame::Message {
        id: &event.message_id,
        channel: &channel,
        from: &sender.id,
        principal: sender.principal.as_ref(),
        message,
        sent_at: event.received_at,
    }
    .to_json();
    if message.len() > MAX_BYTES {
        let sentence = format!(
            "The message would reach its recipients as {} bytes; at most {MAX_BYTES} can be delivered.",
            message.len(),
        );
        return Ok(Refusal::new(ErrorCode::MessageTooLarge, sentence).reply(&event));
    }

    let recipients = registry.members(&channel).try_filter(|member| ready(echo || member.id != sender.id));
    let (delivery, read) = fanout.post(&message, recipients, event.deadline - FOR_THE_REST).await;
    let gone = delivery.gone.len() as u64;
    if let Err(error) = registry.prune(delivery.gone).await {
        // They are found gone again by the next broadcast.
        tracing::warn!(error = chain(&error), "connections that are gone stay registered");
    }
    read?;
    tracing::info!(
        connection_id = %sender.id,
        request_id = event.request_id,
        delivered = delivery.delivered,
        gone,
        slow = delivery.slow,
        failed = delivery.failed,
        "sent",
    );
    Ok(Reply::frame(&Frame::Ack {
        id: &event.message_id,
        request_id: &event.request_id,
        delivered: delivery.delivered,
        gone,
        failed: delivery.failed + delivery.slow,
    }))
}
