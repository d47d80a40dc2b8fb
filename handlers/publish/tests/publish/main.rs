//! The function behind the queue, and the messages that it takes.

mod deliveries;
mod publish;
mod scale;
mod schema;
