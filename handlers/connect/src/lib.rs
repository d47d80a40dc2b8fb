//! The function of `$connect`: lets a client in and registers its connection.

use lambda_websocket::{Connect, Error, Registry, Response, metrics};

/// The environment variable with the sub-protocols to accept, separated by commas. Unset: none.
pub const SUBPROTOCOLS: &str = "SUBPROTOCOLS";

/// What it takes to let a client in.
#[derive(Clone, Debug)]
pub struct Admission {
    registry: Registry,
    subprotocols: Vec<String>,
}

impl Admission {
    /// Registers connections here and accepts these sub-protocols.
    pub fn new(registry: Registry, subprotocols: Vec<String>) -> Self {
        Self { registry, subprotocols }
    }

    /// The first sub-protocol of the client's list that is accepted here.
    ///
    /// Without one the client is let in all the same: by RFC 6455 it is the client that gives up then.
    fn choose(&self, offered: Vec<String>) -> Option<String> {
        offered.into_iter().find(|offer| self.subprotocols.contains(offer))
    }
}

/// Registers the connection, for everyone's messages and its principal's, then lets the client in.
///
/// # Errors
/// When the connection could not be registered: the client is refused, and may try again.
pub async fn connect(admission: &Admission, event: Connect) -> Result<Response, Error> {
    let Connect { connection, request_id, subprotocols, .. } = event;
    admission.registry.register(&connection).await?;
    tracing::info!(connection_id = %connection.id, request_id, "connected");
    metrics::count(metrics::CONNECTIONS_OPENED, 1);
    Ok(admission.choose(subprotocols).map_or_else(Response::empty, Response::subprotocol))
}
