//! The function of `$connect`: accepts a client and registers its connection.

use lambda_websocket::{Connect, Error, Registry, Response, metrics};

/// The environment variable with the sub-protocols to accept, separated by commas. Unset: none.
pub const SUBPROTOCOLS: &str = "SUBPROTOCOLS";

/// Registers connections and selects their sub-protocols.
#[derive(Clone, Debug)]
pub struct Admission {
    registry: Registry,
    subprotocols: Vec<String>,
}

impl Admission {
    /// Registers connections in this registry and accepts these sub-protocols.
    pub fn new(registry: Registry, subprotocols: Vec<String>) -> Self {
        Self { registry, subprotocols }
    }

    /// The first sub-protocol of the client's list that is accepted here.
    ///
    /// Without one the client is accepted all the same: under RFC 6455 it is the client that gives up then.
    fn choose(&self, offered: Vec<String>) -> Option<String> {
        offered.into_iter().find(|offer| self.subprotocols.contains(offer))
    }
}

/// Registers the connection for messages to everyone and to its principal, then accepts the client.
///
/// # Errors
/// When the connection could not be registered. The client is refused, and may try again.
pub async fn connect(admission: &Admission, event: Connect) -> Result<Response, Error> {
    let Connect { connection, request_id, subprotocols, .. } = event;
    admission.registry.register(&connection).await?;
    tracing::info!(connection_id = %connection.id, request_id, "connected");
    metrics::count(metrics::CONNECTIONS_OPENED, 1);
    Ok(admission.choose(subprotocols).map_or_else(Response::empty, Response::subprotocol))
}
