//! The interface to AWS Lambda and API Gateway: an event in, a response out.
//!
//! | file | holds |
//! |---|---|
//! | [`runtime`] | the loop: an event in, a handler called, a response out; the same for a queue's records |
//! | [`event`] | parsed: [`Connect`](event::Connect), [`Message`](event::Message), [`Disconnect`](event::Disconnect) |
//! | [`fields`] | the fields of a client's message |
//! | [`rejection`] | a client's fault, and its error frame |
//! | [`response`] | a handler's response to API Gateway |
//! | [`error`] | why an invocation failed |

pub mod error;
pub mod event;
pub mod fields;
pub mod rejection;
pub mod response;
pub mod runtime;
