//! The seam to AWS Lambda and API Gateway: an event in, a response out.

pub mod error;
pub mod event;
pub mod fields;
pub mod rejection;
pub mod response;
pub mod runtime;
