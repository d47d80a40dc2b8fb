//! Errors on our side. A client's fault is not an error but a rejection: it is answered with an error frame.

use std::error::Error as StdError;

use lambda_runtime::Diagnostic;

use crate::{
    delivery::error::DeliveryError,
    lambda::event::EventError,
    log::chain,
    protocol::{publication::InvalidPublication, task::InvalidTask},
    store::error::StoreError,
};

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The event is not one that this function serves.
    #[error("the event cannot be served")]
    Event(#[from] EventError),
    /// A message did not reach all its recipients, or a table could not be read or written.
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// A publication in the queue cannot be passed on.
    #[error("the publication cannot be passed on")]
    Publication(#[from] InvalidPublication),
    /// A message in the delivery queue is not a task of this project.
    #[error("the delivery cannot be read")]
    Task(#[from] InvalidTask),
    /// Something else that the handler needs failed, such as a table of its own.
    #[error("the handler failed")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// Wraps an error that this library does not know, as in `.map_err(Error::other)?`.
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// The error's name in Lambda's logs and metrics: stable, unlike a Rust type's name.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Event(_) => "WebSocket.Event",
            Self::Delivery(error) => error.error_type(),
            Self::Publication(_) => "WebSocket.Publication",
            Self::Task(_) => "WebSocket.Delivery",
            Self::Other(_) => "WebSocket.Other",
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Delivery(error.into())
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.error_type().to_owned(), error_message: chain(&error) }
    }
}
