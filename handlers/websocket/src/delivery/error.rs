//! The errors of a delivery.

use crate::{
    delivery::task_queue::TaskQueueError,
    protocol::broadcast::TooLarge,
    store::error::{Store, StoreError},
};

/// Why a message or an announcement did not reach all its recipients.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A table could not be read or written.
    #[error("the {} failed", .0.store)]
    Store(#[from] StoreError),
    /// The queue did not take the remaining work.
    #[error("what is left to do could not be handed over")]
    Queue(#[from] TaskQueueError),
    /// A frame is longer than can be delivered.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// A row of the history holds no frame.
    #[error("the history holds a message that is not JSON")]
    Frame(#[source] serde_json::Error),
    /// Connections could not be reached for a reason that may pass.
    #[error("{failed} connections could not be reached")]
    Undelivered {
        /// How many.
        failed: usize,
    },
    /// The invocation has no time for a single recipient.
    #[error("there is no time to reach anybody: the function's timeout is too short")]
    NoTime,
}

impl DeliveryError {
    /// The name under which Lambda's logs and metrics know the error.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Store(StoreError { store: Store::Registry, .. }) => "WebSocket.Registry",
            Self::Store(StoreError { store: Store::History, .. }) | Self::Frame(_) => "WebSocket.History",
            Self::Queue(_) => "WebSocket.Queue",
            Self::TooLarge(_) => "WebSocket.TooLarge",
            Self::Undelivered { .. } => "WebSocket.Undelivered",
            Self::NoTime => "WebSocket.NoTime",
        }
    }
}
