//! The library behind the functions of an API Gateway WebSocket API.
//!
//! An invocation passes through these modules in this order:
//!
//! | module | holds |
//! |---|---|
//! | [`runtime`] | the loop: an event in, a handler called, a reply out |
//! | [`event`] | what happened: [`event::Connect`], [`event::Message`], [`event::Disconnect`] |
//! | [`json`] | what a message may be: JSON that every parser reads |
//! | [`fields`] | the fields of a client's message |
//! | [`connection`] | who: [`connection::ConnectionId`], and what is stored of a connection |
//! | [`principal`] | whose connection it is, as the authorizer said |
//! | [`channel`] | to whom: a named set of connections |
//! | [`permissions`] | which channels a connection may use, as the authorizer said |
//! | [`shards`] | over how many partitions a channel is spread |
//! | [`registry`] | the DynamoDB table of channels and their connections |
//! | [`member`] | a member of a channel, as others see it |
//! | [`cursor`] | a place in the list of a channel's members |
//! | [`notifier`] | who joins a channel, told to the channel |
//! | [`departure`] | who leaves a channel, or is found gone: out of the table, and told to the channel |
//! | [`history`] | the DynamoDB table of what was said, for clients that were away |
//! | [`metrics`] | what is counted, for CloudWatch |
//! | [`fanout`] | one message, posted to many connections through `@connections` |
//! | [`broadcast`] | one message to a channel, in as many invocations as it takes |
//! | [`queue`] | the way into the queue where the rest of it waits |
//! | [`delivery`] | what is in that queue |
//! | [`publication`] | what a backend puts into the other queue |
//! | [`frame`] | the JSON that clients receive |
//! | [`rejection`] | a client's fault, and the frame that tells it |
//! | [`response`] | what the handler answers to API Gateway |
//! | [`config`] | the environment variables, read once at start |
//! | [`aws`] | the SDK clients, built once at start |
//! | [`log`] | what somebody else wrote, in a line of the log |
//! | [`time`] | what time it is |
//! | [`error`] | what went wrong on our side |
//!
//! A client's fault is a [`rejection::Rejection`], answered with an error frame, and its connection stays open; a fault
//! of ours is an [`error::Error`], which API Gateway reports to the client without details.
//!
//! ```no_run
//! use lambda_websocket::{error::Error, event::Message, response::Response, runtime};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), lambda_runtime::Error> {
//!     runtime::init_logs();
//!     runtime::run(async |message: Message| -> Result<Response, Error> {
//!         Ok(Response::text(message.body))
//!     })
//!     .await
//! }
//! ```

pub mod aws;
pub mod broadcast;
pub mod channel;
pub mod config;
pub mod connection;
pub mod cursor;
pub mod delivery;
pub mod departure;
pub mod error;
pub mod event;
pub mod fanout;
pub mod fields;
pub mod frame;
pub mod history;
pub mod json;
mod limiter;
pub mod log;
pub mod member;
pub mod metrics;
pub mod notifier;
pub mod permissions;
pub mod principal;
pub mod publication;
pub mod queue;
mod reading;
pub mod registry;
pub mod rejection;
pub mod response;
pub mod runtime;
pub mod shards;
pub mod time;
