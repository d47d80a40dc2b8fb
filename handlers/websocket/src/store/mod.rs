//! What is kept in DynamoDB: who is in which channel, and what was said.

mod attributes;
pub mod error;
pub mod history;
pub(crate) mod reading;
pub mod registry;
