//! Events of the shapes that API Gateway and emulators send.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lambda_websocket::event::{Connect, Disconnect, Event, EventError, Message};
use serde_json::{Value, json};
use testkit::fixtures;
use tokio::time::Instant;

fn parse(json: Value) -> Result<Event, EventError> {
    Event::parse(serde_json::from_value(json).unwrap(), Instant::now())
}

#[test]
fn a_connect_tells_who_and_what_they_speak() {
    let event = Connect::try_from(parse(fixtures::connect_json()).unwrap()).unwrap();
    assert_eq!(event.connection.id.as_str(), "BkQ3rc-0liACIhw=");
    assert_eq!(event.connection.connected_at, 1_732_293_397_481);
    assert_eq!(event.connection.source_ip.as_deref(), Some("203.0.113.7"));
    assert!(event.connection.user_agent.unwrap().contains("Firefox/133.0"));
    assert_eq!(event.request_id, "BkQ3rHnGliAFsbw=");
    assert_eq!(event.subprotocols, ["chat.v2", "chat.v1"]);
}

#[test]
fn of_a_long_user_agent_the_beginning_is_kept() {
    let mut json = fixtures::connect_json();
    json["requestContext"]["identity"]["userAgent"] = json!("é".repeat(8_000));
    let event = Connect::try_from(parse(json).unwrap()).unwrap();
    assert_eq!(event.connection.user_agent.unwrap(), "é".repeat(256));
}

#[test]
fn a_connect_without_subprotocols_offers_none() {
    let mut json = fixtures::connect_json();
    json["headers"].as_object_mut().unwrap().remove("Sec-WebSocket-Protocol");
    assert!(Connect::try_from(parse(json).unwrap()).unwrap().subprotocols.is_empty());
}

#[test]
fn a_message_tells_who_said_what_and_when() {
    let event = Message::try_from(parse(fixtures::message_json()).unwrap()).unwrap();
    assert_eq!(event.connection_id.as_str(), "BkQ3rc-0liACIhw=");
    assert_eq!(event.message_id, "BkQ5ad_qFiACIhw=");
    assert_eq!(event.received_at, 1_732_293_408_520);
    assert_eq!(event.body, r#"{"action":"send","message":"hello"}"#);
}

#[test]
fn an_absent_a_null_and_an_empty_body_are_alike() {
    for body in [None, Some(Value::Null), Some(json!(""))] {
        let mut json = fixtures::message_json();
        match body {
            None => drop(json.as_object_mut().unwrap().remove("body")),
            Some(body) => json["body"] = body,
        }
        assert_eq!(Message::try_from(parse(json).unwrap()).unwrap().body, "");
    }
}

#[test]
fn a_disconnect_tells_the_close_code() {
    let event = Disconnect::try_from(parse(fixtures::disconnect_json()).unwrap()).unwrap();
    assert_eq!((event.status_code, event.reason), (Some(1001), None));
}

#[test]
fn an_event_of_another_route_is_refused() {
    let error = Connect::try_from(parse(fixtures::message_json()).unwrap()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "this function serves CONNECT events and got a MESSAGE: is its route right?"
    );
}

#[test]
fn what_api_gateway_would_not_send_is_refused_with_a_sentence() {
    let with = |name: &str, value: Value| {
        let mut json = fixtures::message_json();
        json["requestContext"][name] = value;
        parse(json).unwrap_err().to_string()
    };
    let missing = "is missing: is the function behind a WebSocket API?";
    assert_eq!(with("connectionId", Value::Null), format!("requestContext.connectionId {missing}"));
    assert_eq!(with("eventType", Value::Null), format!("requestContext.eventType {missing}"));
    assert_eq!(with("messageId", Value::Null), format!("requestContext.messageId {missing}"));
    assert_eq!(with("requestTimeEpoch", json!(-1)), "requestContext.requestTimeEpoch is negative");
    assert_eq!(
        with("eventType", json!("PING")),
        r#"requestContext.eventType is "PING", not CONNECT, MESSAGE or DISCONNECT"#,
    );
    assert!(with("connectionId", json!("a/../b c")).starts_with("a connection id has 1 to 128 characters"));
}
