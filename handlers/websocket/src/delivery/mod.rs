//! One message to many, in as many invocations as it takes.

pub mod broadcaster;
pub mod departure;
pub mod error;
pub mod fanout;
pub(crate) mod limiter;
pub mod notifier;
pub mod queue;
mod reader;
pub mod task;
