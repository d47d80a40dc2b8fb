//! The data that clients, functions and queues exchange, checked as it is read. Nothing here has side effects.
//!
//! | file | holds |
//! |---|---|
//! | [`frame`] | the JSON that clients receive, of every type |
//! | [`json`] | the check that a client's message is JSON that every parser reads |
//! | [`channel`], [`shards`] | a named set of connections, and the partitions that it is spread over |
//! | [`connection`], [`principal`], [`member`] | a connection, its principal, and what others see of it |
//! | [`cursor`] | a pagination cursor for a channel's members |
//! | [`correlation`] | what tells a client which request a frame answers |
//! | [`bounded_text`] | a text that a client chose, with a bound on its length |
//! | [`permissions`] | the channels that a connection may use |
//! | [`idempotency`] | what makes two requests to send a message one message |
//! | [`broadcast`] | a message on its way to a channel |
//! | [`publication`] | a message that a backend puts into the publisher's queue |
//! | [`task`] | work that functions put into the delivery queue: broadcasts, prunes, leaves |

pub mod bounded_text;
pub mod broadcast;
pub mod channel;
pub mod connection;
pub mod correlation;
pub mod cursor;
pub mod frame;
pub mod idempotency;
pub mod json;
pub mod member;
pub mod permissions;
pub mod principal;
pub mod publication;
pub mod shards;
pub mod task;
