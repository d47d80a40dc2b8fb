//! The function of `$disconnect`: forgets a connection.

use lambda_websocket::{error::Error, event::Disconnect, registry::Registry, reply::Reply, telemetry};

/// Deletes every row of the connection. The event can come twice, and late: to forget again is no error.
///
/// # Errors
/// When a row could not be deleted. It is left to the table's TTL, and to the first broadcast that finds
/// the connection gone.
pub async fn disconnect(registry: &Registry, event: Disconnect) -> Result<Reply, Error> {
    let Disconnect { connection_id, request_id, status_code, reason } = event;
    registry.remove(&connection_id).await?;
    tracing::info!(%connection_id, request_id, status_code, reason, "disconnected");
    telemetry::count(telemetry::CONNECTIONS_CLOSED, 1);
    Ok(Reply::empty())
}
