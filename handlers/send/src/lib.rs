//! The function of the action `send`: broadcasts a message to everyone, or to a channel.

mod request;

use lambda_websocket::{
    Broadcast, Broadcaster, Error, ErrorCode, Frame, Message, Rejection, Response, delivery::report::Sent,
    protocol::idempotency::IdempotencyKey,
};
use request::Request;

/// The number of recipients after which an invocation hands over the rest, if there is a queue: the sender waits.
pub const HAND_OVER_AFTER: usize = 1_000;

/// Broadcasts the message to every connection in the channel, and replies with the number of connections reached.
///
/// The sender's connection is included if it is in the channel and did not send `"echo": false`. The sender need not be
/// in the channel.
///
/// With an `id`, a message that is sent again is the same message, as long as the history keeps it: the sender gets the
/// first answer once more.
///
/// A message that is invalid, too long, or for a channel that the sender may not use is rejected with an error frame,
/// and reaches nobody.
///
/// # Errors
/// When the connections could not be read, or the rest of them could not be handed over: some recipients may have the
/// message by then. When the history could not record the message: then nobody has it.
pub async fn send(broadcaster: &Broadcaster, event: Message) -> Result<Response, Error> {
    let sender = &event.connection;
    let Request { channel, message, echo, id } = match Request::parse(&event) {
        Ok(request) => request,
        Err(rejection) => return Ok(rejection.into_response(&event)),
    };

    let key = id.map(|id| IdempotencyKey::of_client(sender, &channel, &id));
    let message_id = key.as_ref().map_or(event.message_id.as_str(), IdempotencyKey::as_str).to_owned();
    let frame = Frame::Message {
        id: &message_id,
        channel: Some(&channel),
        from: Some(&sender.id),
        principal: sender.principal.as_ref(),
        message,
        sent_at: event.received_at,
    }
    .to_json();
    let broadcast = Broadcast::new(&message_id, channel, frame).and_then(|broadcast| {
        let broadcast = broadcast.except((!echo).then(|| sender.id.clone()));
        match key {
            Some(key) => broadcast.kept_once(key),
            None => broadcast.kept(),
        }
    });
    let broadcast = match broadcast {
        Ok(broadcast) => broadcast,
        Err(too_large) => {
            return Ok(
                Rejection::new(ErrorCode::MessageTooLarge, too_large.to_string()).into_response(&event)
            );
        }
    };
    tracing::info!(connection_id = %sender.id, request_id = event.request_id, message_id, "sent");
    let Sent { report, seq, is_duplicate } = broadcaster.send(&broadcast, event.deadline).await?;
    Ok(Response::frame(&Frame::Ack {
        id: &message_id,
        request: event.request(),
        seq,
        delivered: report.delivered,
        gone: report.gone,
        failed: report.failed + report.slow,
        queued: report.queued,
        incomplete: report.incomplete,
        duplicate: is_duplicate,
    }))
}
