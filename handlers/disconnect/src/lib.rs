//! The function of `$disconnect`: deletes the rows of a closed connection.

use std::time::Duration;

use lambda_websocket::{
    Disconnect, Error, PresenceNotifier, Registry, Response, delivery::departure, log::visible, metrics,
};

/// The time at the end of an invocation that is reserved for the response.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// Deletes the rows of closed connections.
#[derive(Clone, Debug)]
pub struct Disconnector {
    /// The channels and the connections in them.
    pub registry: Registry,
    /// Tells channels which members left. `None`: no channel is told.
    pub notifier: Option<PresenceNotifier>,
}

/// Deletes every row of the connection. Where the channel is told of the leave, the function `publish` deletes the row.
///
/// The event may come twice, and late: deleting again is no error. A subscription made a moment before may remain: see
/// [`lambda_websocket::store::registry`].
///
/// # Errors
/// When a row could not be deleted, or the queue did not accept the task to delete it. The row is left to the table's
/// TTL, and to the first broadcast that finds the connection gone.
pub async fn disconnect(disconnector: &Disconnector, event: Disconnect) -> Result<Response, Error> {
    let Disconnect { connection, request_id, status_code, reason, deadline, .. } = event;
    let Disconnector { registry, notifier } = disconnector;
    departure::disconnect(registry, notifier.as_ref(), &connection, deadline - FOR_THE_ANSWER).await?;
    let reason = reason.as_deref().map(visible);
    tracing::info!(connection_id = %connection.id, request_id, status_code, reason, "disconnected");
    metrics::count(metrics::CONNECTIONS_CLOSED, 1);
    Ok(Response::empty())
}
