//! What travels between clients, functions and queues, and is checked as it is read: nothing here acts.
//!
//! | file | holds |
//! |---|---|
//! | [`frame`] | the JSON that clients receive, of every type |
//! | [`json`] | what a client's message may be: JSON that every parser reads |
//! | [`channel`], [`shards`] | a named set of connections, and over how many partitions it is spread |
//! | [`connection`], [`principal`], [`member`] | who: a connection, whose it is, and what others see of it |
//! | [`cursor`] | a place in the list of a channel's members |
//! | [`permissions`] | which channels a connection may use |
//! | [`broadcast`] | a message on its way to a channel |
//! | [`publication`] | what a backend puts into the publisher's queue |
//! | [`task`] | what functions put into the delivery queue: broadcasts, prunes, leaves |

pub mod broadcast;
pub mod channel;
pub mod connection;
pub mod cursor;
pub mod frame;
pub mod json;
pub mod member;
pub mod permissions;
pub mod principal;
pub mod publication;
pub mod shards;
pub mod task;
