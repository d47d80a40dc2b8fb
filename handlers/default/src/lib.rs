//! The function of `$default`: tells a client what was wrong with its message.
//!
//! API Gateway sends here what is not JSON, and what names no action that has a route.

use lambda_websocket::{
    event::Message,
    frame::{ErrorCode, Frame},
    reply::Reply,
};
use serde_json::Value;

/// The environment variable with the names of the actions that have a route, separated by commas.
pub const ACTIONS: &str = "ACTIONS";

/// How much of an unknown action's name the answer repeats, in characters.
const SHOWN: usize = 64;

/// Answers with what was wrong and which actions there are. The connection stays open.
pub fn refuse(actions: &[String], event: &Message) -> Reply {
    let (code, problem) = diagnose(&event.body);
    tracing::info!(connection_id = %event.connection_id, request_id = event.request_id, ?code, "refused");
    Reply::frame(&Frame::Error {
        code,
        message: format!("{problem} Send a JSON object whose \"action\" is one of: {}.", actions.join(", "))
            .into(),
        request_id: &event.request_id,
    })
}

fn diagnose(body: &str) -> (ErrorCode, String) {
    let Ok(json) = serde_json::from_str::<Value>(body) else {
        return (ErrorCode::InvalidJson, "The message is not JSON.".to_owned());
    };
    match json.get("action") {
        Some(Value::String(action)) => {
            let shown: String = action.chars().take(SHOWN).collect();
            (ErrorCode::UnknownAction, format!("There is no action {shown:?}."))
        }
        Some(_) => (ErrorCode::InvalidRequest, "The \"action\" is not a string.".to_owned()),
        None => (ErrorCode::InvalidRequest, "The message has no \"action\".".to_owned()),
    }
}
