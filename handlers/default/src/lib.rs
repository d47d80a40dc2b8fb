//! The function of `$default`: tells a client what was wrong with its message.
//!
//! API Gateway routes a message here if it is not JSON, or if it names no action that has a route. JSON that only some
//! parsers accept is rejected here as [elsewhere](json), whether or not API Gateway accepts it.

use lambda_websocket::{ErrorCode, Message, Rejection, Response, protocol::json};
use serde_json::Value;

/// The environment variable with the names of the actions that have a route, separated by commas.
pub const ACTIONS: &str = "ACTIONS";

/// The environment variable with the name of the field that holds the action: the last part of the API's route
/// selection expression. Unset: [`FIELD`].
pub const ACTION_FIELD: &str = "ACTION_FIELD";

/// The default name of the field that holds the action. [`ACTION_FIELD`] overrides it.
pub const FIELD: &str = "action";

/// The maximum length of an unknown action's name in the response, in characters.
const SHOWN: usize = 64;

/// The field and the actions that a client may send.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The name of the field that holds the action.
    pub field: String,
    /// The actions that have a route.
    pub actions: Vec<String>,
}

/// Replies with an error frame: what was wrong, and which actions there are. The connection stays open.
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
