//! What travels between clients, functions and queues, and is checked as it is read: nothing here acts.

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
