//! What went wrong on our side. A client's fault is no error: it is answered with an error frame.

use std::error::Error as StdError;

use lambda_runtime::Diagnostic;

use crate::{
    delivery::InvalidDelivery, event::EventError, history::HistoryError, log::visible,
    publication::InvalidPublication, queue::QueueError, registry::RegistryError,
};

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event is not one that this function serves.
    #[error("the event cannot be served")]
    Event(#[from] EventError),
    /// The table could not be read or written.
    #[error("the connection registry failed")]
    Registry(#[from] RegistryError),
    /// The history could not be read or written.
    #[error("the history failed")]
    History(#[from] HistoryError),
    /// The queue did not take what is left to do.
    #[error("what is left to do could not be handed over")]
    Queue(#[from] QueueError),
    /// What a backend put into the queue cannot be passed on.
    #[error("the publication cannot be passed on")]
    Publication(#[from] InvalidPublication),
    /// What is in the delivery queue is none of this project's.
    #[error("the delivery cannot be read")]
    Delivery(#[from] InvalidDelivery),
    /// Connections could not be reached for a reason that may pass.
    #[error("{failed} connections could not be reached")]
    Undelivered {
        /// How many.
        failed: usize,
    },
    /// The invocation has no time for a single recipient.
    #[error("there is no time to reach anybody: the function's timeout is too short")]
    NoTime,
    /// Something else that the handler needs failed, such as a table of its own.
    #[error("the handler failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// The error of something that this library knows nothing of, as in `.map_err(Error::other)?`.
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The name under which Lambda's logs and metrics know the error: stable, unlike a Rust type's name.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Event(_) => "WebSocket.Event",
            Self::Registry(_) => "WebSocket.Registry",
            Self::History(_) => "WebSocket.History",
            Self::Queue(_) => "WebSocket.Queue",
            Self::Publication(_) => "WebSocket.Publication",
            Self::Delivery(_) => "WebSocket.Delivery",
            Self::Undelivered { .. } => "WebSocket.Undelivered",
            Self::NoTime => "WebSocket.NoTime",
            Self::Other(_) => "WebSocket.Other",
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.error_type().to_owned(), error_message: chain(&error) }
    }
}

/// The error and all that caused it, as one sentence for the log.
pub fn chain(error: &dyn StdError) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence.push_str(": ");
        sentence.push_str(&error.to_string());
        cause = error.source();
    }
    visible(&sentence)
}
