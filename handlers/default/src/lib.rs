//! The function of `$default`: tells a client what was wrong with its message.
//!
//! API Gateway sends here what is not JSON, and what names no action that has a route. Whether it can read what only
//! some parsers read is its own affair: such a message is refused here as [elsewhere](json).

use lambda_websocket::{ErrorCode, Message, Rejection, Response, protocol::json};
use serde_json::Value;

/// The environment variable with the names of the actions that have a route, separated by commas.
pub const ACTIONS: &str = "ACTIONS";

/// The environment variable with the field that names the action, where that is not [`FIELD`]: the last part of
/// the API's route selection expression.
pub const ACTION_FIELD: &str = "ACTION_FIELD";

/// The field that names the action, unless [`ACTION_FIELD`] says otherwise.
pub const FIELD: &str = "action";

/// How much of an unknown action's name the answer repeats, in characters.
const SHOWN: usize = 64;

/// What a client should have sent.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The field that names the action.
    pub field: String,
    /// The actions that have a route.
    pub actions: Vec<String>,
}

/// Answers with what was wrong and which actions there are. The connection stays open.
pub fn refuse(expected: &Expected, event: &Message) -> Response {
    let Expected { field, actions } = expected;
    let (code, problem) = diagnose(&event.body, field);
    let usage = format!("Send a JSON object whose {field:?} is one of: {}.", actions.join(", "));
    Rejection::new(code, format!("{problem} {usage}")).into_response(event)
}

fn diagnose(body: &str, field: &str) -> (ErrorCode, String) {
    if let Err(error) = json::check(body) {
        return (ErrorCode::InvalidJson, error.to_string());
    }
    let message: Value = serde_json::from_str(body).unwrap_or_default();
    match message.get(field) {
        Some(Value::String(action)) => {
            let shown: String = action.chars().take(SHOWN).collect();
            (ErrorCode::UnknownAction, format!("There is no {field} {shown:?}."))
        }
        Some(_) => (ErrorCode::InvalidRequest, format!("The {field:?} is not a string.")),
        None => (ErrorCode::InvalidRequest, format!("The message has no {field:?}.")),
    }
}
