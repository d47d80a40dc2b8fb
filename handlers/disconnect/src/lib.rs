//! The function of `$disconnect`: forgets a connection.

use futures::future::join_all;
use lambda_websocket::{
    announcement::Announcer, error::Error, event::Disconnect, log::visible, registry::Registry, reply::Reply,
    telemetry,
};

/// What it takes to forget a connection.
#[derive(Clone, Debug)]
pub struct Farewell {
    /// Who is in which channel.
    pub registry: Registry,
    /// Tells channels who left, where they are to be told.
    pub announcer: Option<Announcer>,
}

/// Deletes every row of the connection. The event can come twice, and late: to forget again is no error.
/// A subscription that was made a moment before may be left: see [`lambda_websocket::registry`].
///
/// # Errors
/// When a row could not be deleted. It is left to the table's TTL, and to the first broadcast that finds
/// the connection gone.
pub async fn disconnect(farewell: &Farewell, event: Disconnect) -> Result<Reply, Error> {
    let Disconnect { connection, request_id, status_code, reason, .. } = event;
    let departures = farewell.registry.remove(&connection).await?;
    let reason = reason.as_deref().map(visible);
    tracing::info!(connection_id = %connection.id, request_id, status_code, reason, "disconnected");
    telemetry::count(telemetry::CONNECTIONS_CLOSED, 1);
    if let Some(announcer) = &farewell.announcer {
        join_all(departures.iter().map(|departure| announcer.left(departure))).await;
    }
    Ok(Reply::empty())
}
