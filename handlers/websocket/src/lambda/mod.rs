//! The interface to AWS Lambda and API Gateway: an event in, a response out.
//!
//! | file | holds |
//! |---|---|
//! | [`runtime`] | the loop: an event in, a handler called, a response out |
//! | [`queue_batch`] | the same for a queue: the records of a batch, and which of them failed |
//! | [`event`] | parsed: [`Connect`](event::Connect), [`Message`](event::Message), [`Disconnect`](event::Disconnect) |
//! | [`request_fields`] | the fields of a client's request, parsed; unknown ones are rejected |
//! | [`rejection`] | a client's fault, and its error frame |
//! | [`response`] | a handler's response to API Gateway |
//! | [`error`] | why an invocation failed |

pub mod error;
pub mod event;
pub mod queue_batch;
pub mod rejection;
pub mod request_fields;
pub mod response;
pub mod runtime;
