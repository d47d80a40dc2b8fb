//! A client's fault: what was wrong with its message, and what to do.

use crate::{
    lambda::{event::Message, response::Response},
    protocol::{
        frame::{ErrorCode, Frame},
        permissions::NotAllowed,
    },
};

/// Why a message was rejected. It is answered with an error frame, and the connection stays open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    code: ErrorCode,
    sentence: String,
}

impl Rejection {
    /// A rejection with this code, for programs, and this sentence, for people.
    pub fn new(code: ErrorCode, sentence: impl Into<String>) -> Self {
        Self { code, sentence: sentence.into() }
    }

    /// The response to the message.
    pub fn into_response(self, to: &Message) -> Response {
        let Self { code, sentence } = self;
        tracing::info!(connection_id = %to.connection.id, request_id = to.request_id, %code, "request rejected");
        Response::frame(&Frame::Error { code, message: sentence.into(), request: to.request() })
    }
}

impl From<NotAllowed> for Rejection {
    fn from(error: NotAllowed) -> Self {
        Self::new(ErrorCode::Forbidden, error.to_string())
    }
}
