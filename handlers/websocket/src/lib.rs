//! The library behind the functions of an API Gateway WebSocket API.
//!
//! The folders from top to bottom; each uses only those below it:
//!
//! | folder | holds |
//! |---|---|
//! | [`lambda`] | the interface to AWS Lambda and API Gateway: an event in, a handler called, a response out |
//! | [`delivery`] | delivers messages to channels, over as many invocations as needed; announces joins and leaves |
//! | [`store`] | DynamoDB: the members of each channel, and the history of messages |
//! | [`protocol`] | data on the wire, checked as it is read: channels, connections, frames, publications |
//!
//! Below them all are [`aws`], the SDK's clients, [`config`], the environment variables, `hash`, [`log`], [`metrics`],
//! `sigv4`, which signs posts, and [`time`].
//!
//! [`runtime::run`] receives an event, parses it into a [`Message`] and calls the handler. The handler reads the
//! message's [`Fields`], asks the [`ChannelPermissions`] of the connection, makes a [`Frame`], and sends it as a
//! [`Broadcast`] through the [`Broadcaster`]. The broadcaster records it in the [`History`], reads the channel's
//! members from the [`Registry`], and posts to them. It leaves the work it has no time for as a [`Task`] in a queue.
//! The handler returns a [`Response`].
//!
//! A client's fault is a [`Rejection`]: it is answered with an error frame, and the connection stays open. A fault of
//! ours is an [`Error`], which API Gateway reports to the client without details.
//!
//! ```no_run
//! use lambda_websocket::{Error, Message, Response, runtime};
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
pub mod config;
pub mod delivery;
mod hash;
pub mod lambda;
pub mod log;
pub mod metrics;
pub mod protocol;
mod sigv4;
pub mod store;
pub mod time;

pub use delivery::{broadcaster::Broadcaster, presence::PresenceNotifier};
pub use lambda::{
    error::Error,
    event::{Connect, Disconnect, Event, Message},
    rejection::Rejection,
    request_fields::Fields,
    response::Response,
    runtime,
};
pub use protocol::{
    broadcast::Broadcast,
    channel::Channel,
    connection::{Connection, ConnectionId},
    frame::{ErrorCode, Frame},
    permissions::ChannelPermissions,
    principal::Principal,
    publication::Publication,
    task::Task,
};
pub use store::{history::History, registry::Registry};
