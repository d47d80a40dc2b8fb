//! A client's fault: what was wrong with its message, and what to do.

use crate::{
    event::Message,
    frame::{ErrorCode, Frame},
    reply::Reply,
};

/// Why a message was refused. It is answered with an error frame, and the connection stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    code: ErrorCode,
    sentence: String,
}

impl Refusal {
    /// A refusal with this code, for programs, and this sentence, for people.
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// The answer to the message.
    pub fn reply(self, to: &Message) -> Reply {
        let Self { code, sentence } = self;
        tracing::info!(connection_id = %to.connection.id, request_id = to.request_id, %code, "refused");
        Reply::frame(&Frame::Error { code, message: sentence.into(), request_id: &to.request_id })
    }
}
