//! The function of `$disconnect`: forgets a connection.

use std::time::Duration;

use lambda_websocket::{
    Disconnect, Error, PresenceNotifier, Registry, Response, delivery::departure, log::visible, metrics,
};

/// The part of an invocation's time that is left for the answer.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// What it takes to forget a connection.
#[derive(Clone, Debug)]
pub struct Disconnector {
    /// Who is in which channel.
    pub registry: Registry,
    /// Tells channels who left, where they are to be told.
    pub notifier: Option<PresenceNotifier>,
}

/// Deletes every row of the connection, or leaves that to the function `publish` where the channel is told of it. The event
/// can come twice, and late: to forget again is no error. A subscription that was made a moment before may be left: see
/// [`lambda_websocket::store::registry`].
///
/// # Errors
/// When a row could not be deleted, or the queue did not take that it is to be. It is left to the table's TTL, and to the
/// first broadcast that finds the connection gone.
pub async fn disconnect(disconnector: &Disconnector, event: Disconnect) -> Result<Response, Error> {
    let Disconnect { connection, request_id, status_code, reason, deadline, .. } = event;
    let Disconnector { registry, notifier } = disconnector;
    departure::disconnect(registry, notifier.as_ref(), &connection, deadline - FOR_THE_ANSWER).await?;
    let reason = reason.as_deref().map(visible);
    tracing::info!(connection_id = %connection.id, request_id, status_code, reason, "disconnected");
    metrics::count(metrics::CONNECTIONS_CLOSED, 1);
    Ok(Response::empty())
}
