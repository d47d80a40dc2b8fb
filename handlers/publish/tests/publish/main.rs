//! The function behind the queue, and the messages that it takes.

mod publish;
mod scale;
mod schema;
