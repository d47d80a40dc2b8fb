//! The data that is kept in DynamoDB.
//!
//! | file | holds |
//! |---|---|
//! | [`registry`] | the table of channels and the connections in them: rows, their keys and when they expire (TTL) |
//! | `registry/devices` | whether a principal has other connections in a channel |
//! | `registry/replay` | the row of a replay that is in progress |
//! | `pages` | a channel's members, read page by page, several shards at a time |
//! | [`history`] | the table of recorded messages |
//! | `history/claims` | what makes two requests to send a message one message (idempotency) |
//! | `attributes` | attributes of rows |
//! | [`error`] | a table that could not be read or written |

mod attribute_values;
pub mod error;
pub mod history;
pub(crate) mod pages;
pub mod registry;
