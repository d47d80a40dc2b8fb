//! The function of the action `send`: passes a message on to everyone.

mod request;

use std::{future::ready, time::Duration};

use futures::TryStreamExt;
use lambda_websocket::{
    channel::Channel,
    error::{Error, chain},
    event::Message,
    fanout::Fanout,
    frame::{ErrorCode, Frame, MAX_BYTES},
    registry::Registry,
    reply::Reply,
};
use request::Request;

/// The part of the invocation's time that is left for what follows the posts: to forget who is gone, and to answer.
const FOR_THE_REST: Duration = Duration::from_secs(3);

/// What it takes to reach everyone.
#[derive(Clone, Debug)]
pub struct Broadcaster {
    /// Who is connected.
    pub registry: Registry,
    /// The way to them.
    pub fanout: Fanout,
}

/// Passes the message on to every connection, the sender's included unless it said `"echo": false`,
/// and answers with how many it reached.
///
/// A message that is wrong or too long is answered with an error frame, and goes to nobody.
///
/// # Errors
/// When the connections could not be read to the end. Some recipients may have the message by then.
pub async fn send(broadcaster: &Broadcaster, event: Message) -> Result<Reply, Error> {
    let Broadcaster { registry, fanout } = broadcaster;
    let refuse = |code, message: String| {
        tracing::info!(connection_id = %event.connection_id, request_id = event.request_id, %code, "refused");
        Ok(Reply::frame(&Frame::Error { code, message: message.into(), request_id: &event.request_id }))
    };
    let request: Request<'_> = match Request::parse(&event.body) {
        Ok(request) => request,
        Err(error) => return refuse(error.code(), error.to_string()),
    };

    let channel = Channel::everyone();
    let message = Frame::Message {
        id: &event.message_id,
        channel: &channel,
        from: &event.connection_id,
        message: request.message,
        sent_at: event.received_at,
    }
    .to_json();
    if message.len() > MAX_BYTES {
        let sentence = format!(
            "The message would reach its recipients as {} bytes; at most {MAX_BYTES} can be delivered.",
            message.len(),
        );
        return refuse(ErrorCode::MessageTooLarge, sentence);
    }

    let recipients = registry
        .members(&channel)
        .try_filter(|member| ready(request.echo || member.id != event.connection_id));
    let (delivery, read) = fanout.post(&message, recipients, event.deadline - FOR_THE_REST).await;
    let gone = delivery.gone.len() as u64;
    if let Err(error) = registry.prune(delivery.gone).await {
        // They are found gone again by the next broadcast.
        tracing::warn!(error = chain(&error), "connections that are gone stay registered");
    }
    read?;
    tracing::info!(
        connection_id = %event.connection_id,
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
