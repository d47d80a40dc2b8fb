//! A client, and the events that API Gateway makes of what it does.

use std::cell::Cell;

use fastrand::Rng;
use lambda_websocket::Message;
use serde_json::{Value, json};
use testkit::{fixtures, simulation::BEGIN};

use crate::{journal::alone, world::PRINCIPALS};

/// A client of the chat, with one connection.
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) principal: Option<&'static str>,
    /// Whether it is connected before anything goes wrong.
    pub(crate) was_there: bool,
    /// How its connection answers a post.
    pub(crate) answers: u16,
    /// When it connected, in milliseconds since the Unix epoch.
    pub(crate) connected_at: Cell<u64>,
}

impl Client {
    pub(crate) fn new(number: usize, rng: &mut Rng) -> Self {
        let principal = rng.bool().then(|| *rng.choice(&PRINCIPALS).unwrap());
        let connected_at = Cell::new(BEGIN - 10 * 60 * 1_000);
        Self { id: Self::id(number), principal, was_there: rng.bool(), answers: 200, connected_at }
    }

    /// The same person on a new connection.
    pub(crate) fn back(&self) -> Self {
        let id = format!("back-{}", self.id);
        Self { id, principal: self.principal, was_there: false, answers: 200, connected_at: Cell::new(0) }
    }

    pub(crate) fn id(number: usize) -> String {
        format!("c{number}=")
    }

    pub(crate) fn channels_of_connect(&self) -> Vec<String> {
        let user = self.principal.map(|principal| format!("user:{principal}"));
        [Some("*".to_owned()), user, Some(alone(&self.id))].into_iter().flatten().collect()
    }

    pub(crate) fn event(&self, mut event: Value) -> Value {
        event["requestContext"]["connectionId"] = json!(self.id);
        event["requestContext"]["connectedAt"] = json!(self.connected_at.get());
        if let Some(principal) = self.principal {
            event["requestContext"]["authorizer"] = json!({"principalId": principal});
        }
        event
    }

    pub(crate) fn message(&self, id: &str, body: &Value) -> Message {
        let mut event = self.event(fixtures::message_json());
        event["requestContext"]["requestTimeEpoch"] = json!(fixtures::now_millis());
        event["requestContext"]["messageId"] = json!(id);
        event["body"] = json!(body.to_string());
        Message::try_from(fixtures::event(event)).unwrap()
    }
}
