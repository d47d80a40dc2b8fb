//! Events as API Gateway sends them: the shapes of real ones, with made-up ids and addresses.

use lambda_websocket::{
    Connect, Disconnect, Event, Message, lambda::event::Request, lambda::queue_batch::Record,
    time::unix_millis,
};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

/// The connection that the fixtures are about.
pub const CONNECTION_ID: &str = "BkQ3rc-0liACIhw=";

/// `$connect` from a browser that offers the sub-protocols `chat.v2, chat.v1`.
pub fn connect_json() -> Value {
    parse(include_str!("../fixtures/connect.json"))
}

/// The request to an authorizer for the same `$connect`. It holds no token.
pub fn authorize_json() -> Value {
    parse(include_str!("../fixtures/authorize.json"))
}

/// The message `{"action":"send","message":"hello"}`.
pub fn message_json() -> Value {
    parse(include_str!("../fixtures/message.json"))
}

/// `$disconnect` of a tab that was closed: there is no body.
pub fn disconnect_json() -> Value {
    parse(include_str!("../fixtures/disconnect.json"))
}

/// The `$connect` of a connection with this id, established a while ago.
pub fn connect(connection_id: &str) -> Connect {
    Connect::try_from(event(live(connect_json(), connection_id))).expect("a CONNECT")
}

/// A message with this text, sent by this connection.
pub fn message(connection_id: &str, body: &str) -> Message {
    let mut event = live(message_json(), connection_id);
    event["body"] = json!(body);
    Message::try_from(self::event(event)).expect("a MESSAGE")
}

/// The `$disconnect` of this connection.
pub fn disconnect(connection_id: &str) -> Disconnect {
    Disconnect::try_from(event(live(disconnect_json(), connection_id))).expect("a DISCONNECT")
}

/// An event, read as a function reads it.
pub fn event(json: Value) -> Event {
    let request: Request = serde_json::from_value(json).expect("API Gateway's shape");
    Event::parse(request, Instant::now() + Duration::from_secs(29)).expect("an event")
}

/// Milliseconds since the Unix epoch, as the functions see it.
pub fn now_millis() -> u64 {
    unix_millis()
}

/// The event, with this connection id, established ten minutes ago: the connection is certainly open.
fn live(mut event: Value, connection_id: &str) -> Value {
    event["requestContext"]["connectionId"] = json!(connection_id);
    event["requestContext"]["connectedAt"] = json!(now_millis() - 10 * 60 * 1_000);
    event
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

/// The ARN of the delivery queue.
pub const DELIVERY_QUEUE: &str = "arn:aws:sqs:eu-central-1:123456789012:publish-deliveries";

/// The ARNs of the queues of tasks.
pub fn task_queues() -> [String; 2] {
    [DELIVERY_QUEUE, "arn:aws:sqs:eu-central-1:123456789012:publish-broadcasts"].map(str::to_owned)
}

/// A record of the queue of publications, received for the first time.
pub fn publication(body: impl Into<String>) -> Record {
    let queue = "arn:aws:sqs:eu-central-1:123456789012:publish".to_owned();
    let deadline = Instant::now() + Duration::from_secs(60);
    let (id, body, sent_at) = ("sqs-id".to_owned(), body.into(), now_millis());
    Record { id, body, queue, sent_at, receives: 1, deadline }
}

/// A record of the delivery queue, received for the first time.
pub fn delivery(body: impl Into<String>) -> Record {
    Record { queue: DELIVERY_QUEUE.to_owned(), ..publication(body) }
}
