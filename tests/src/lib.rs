//! What the end-to-end tests share: a WebSocket client, and the harness that runs them in order.

mod client;
pub mod harness;

pub use client::Client;
