//! The function of `$disconnect`: forgets a connection.

use lambda_websocket::{error::Error, event::Disconnect, registry::Registry, reply::Reply, telemetry};

/// Deletes every row of the connection. The event can come twice, and late: to forget again is no error.
/// A subscription that was made a moment before may be left: see [`lambda_websocket::registry`].
///
/// # Errors
/// When a row could not be deleted. It is left to the table's TTL, and to the first broadcast that finds
/// the connection gone.
pub async fn disconnect(registry: &Registry, event: Disconnect) -> Result<Reply, Error> {
    let Disconnect { connection, request_id, status_code, reason, .. } = event;
    registry.remove(&connection).await?;
    tracing::info!(connection_id = %connection.id, request_id, status_code, reason, "disconnected");
    telemetry::count(telemetry::CONNECTIONS_CLOSED, 1);
    Ok(Reply::empty())
}
