//! Events of the shapes that API Gateway and emulators send.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lambda_websocket::{
    Channel, ChannelPermissions, Connect, Disconnect, Event, Message, Principal, lambda::event::EventError,
    log::chain,
};
use proptest::prelude::*;
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
    for headers in ["headers", "multiValueHeaders"] {
        json[headers].as_object_mut().unwrap().remove("Sec-WebSocket-Protocol");
    }
    assert!(Connect::try_from(parse(json).unwrap()).unwrap().subprotocols.is_empty());
}

#[test]
fn subprotocols_in_several_headers_are_one_list() {
    let mut json = fixtures::connect_json();
    json["headers"]["Sec-WebSocket-Protocol"] = json!("chat.v1");
    json["multiValueHeaders"]["Sec-WebSocket-Protocol"] = json!(["chat.v3, chat.v2", "chat.v1"]);
    let event = Connect::try_from(parse(json.clone()).unwrap()).unwrap();
    assert_eq!(event.subprotocols, ["chat.v3", "chat.v2", "chat.v1"]);
    json.as_object_mut().unwrap().remove("multiValueHeaders");
    assert_eq!(Connect::try_from(parse(json).unwrap()).unwrap().subprotocols, ["chat.v1"]);
}

#[test]
fn any_header_of_a_client_is_read() {
    for value in ["é", "\u{80}", "\u{7f}", "\u{1}", "\u{0}", "\r\n", "😀", ""] {
        for name in ["User-Agent", "X-Name", "Sec-WebSocket-Protocol", "Née", "a b", "", "X:"] {
            let mut json = fixtures::connect_json();
            json["headers"][name] = json!(value);
            json["multiValueHeaders"][name] = json!([value, "x"]);
            json["queryStringParameters"][name] = json!(value);
            json["multiValueQueryStringParameters"][name] = json!([value, "x"]);
            let read = serde_json::from_value(json).map_err(|error| error.to_string());
            let read = read.map(|request| Event::parse(request, Instant::now()).is_ok());
            assert_eq!(read, Ok(true), "{name:?}: {value:?}");
        }
    }
}

#[test]
fn a_message_tells_who_said_what_and_when() {
    let event = Message::try_from(parse(fixtures::message_json()).unwrap()).unwrap();
    assert_eq!(event.connection.id.as_str(), "BkQ3rc-0liACIhw=");
    assert_eq!(event.connection.connected_at, 1_732_293_397_481);
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

/// A connection that the authorizer said this of, and wants to connect.
fn authorized(said: Value) -> Result<Connect, EventError> {
    let mut json = fixtures::connect_json();
    json["requestContext"]["authorizer"] = said;
    Connect::try_from(parse(json)?)
}

#[test]
fn every_event_tells_what_the_authorizer_said() {
    for mut json in [fixtures::connect_json(), fixtures::message_json(), fixtures::disconnect_json()] {
        json["requestContext"]["authorizer"] =
            json!({"principalId": "ada", "channels": "orders.* lobby", "integrationLatency": 7});
        let (connection, channels) = match parse(json).unwrap() {
            Event::Connect(event) => (event.connection, event.channels),
            Event::Message(event) => (event.connection, event.channels),
            Event::Disconnect(event) => (event.connection, event.channels),
        };
        assert_eq!(connection.principal.unwrap().as_str(), "ada");
        assert_eq!(channels, ChannelPermissions::parse("orders.* lobby").unwrap());
    }
}

#[test]
fn where_no_authorizer_spoke_nobody_is_known_and_every_channel_allowed() {
    for event in [
        parse(fixtures::connect_json()).and_then(Connect::try_from),
        authorized(Value::Null),
        authorized(json!({})),
        authorized(json!({"expires": "4102444800", "n": null, "list": [1]})),
        authorized(json!({"principalId": null})),
        authorized(json!({"principalId": ""})),
    ] {
        let event = event.unwrap();
        assert_eq!((event.connection.principal, event.channels), (None, ChannelPermissions::all()));
    }
}

#[test]
fn an_authorizer_that_names_no_channel_allows_none() {
    for none in [json!(""), json!(" "), json!(null), json!([]), json!("[]")] {
        let channels = authorized(json!({"principalId": "ada", "channels": none})).unwrap().channels;
        let allows = |name: &str| channels.allows(&Channel::parse(name).unwrap());
        assert!(!["*", "lobby", "user:ada"].into_iter().any(allows), "{none:?}");
    }
}

#[test]
fn what_another_authorizer_says_is_read_as_the_text_that_api_gateway_makes_of_it() {
    for (said, principal, patterns) in [
        (json!({"principalId": 7, "channels": 7}), "7", "7"),
        (json!({"principalId": true, "channels": false}), "true", "false"),
        (json!({"principalId": "ada", "channels": ["orders.*", "lobby"]}), "ada", "orders.* lobby"),
        (json!({"principalId": "ada", "channels": r#"["orders.*","lobby"]"#}), "ada", "orders.* lobby"),
    ] {
        let event = authorized(said.clone()).unwrap();
        assert_eq!(event.connection.principal.unwrap().as_str(), principal, "{said}");
        assert_eq!(event.channels, ChannelPermissions::parse(patterns).unwrap(), "{said}");
    }
}

#[test]
fn what_cannot_be_read_of_an_authorizer_is_refused_with_a_sentence() {
    let error = |said: Value| chain(&authorized(said).unwrap_err());
    for channels in [json!({"a": 1}), json!([1]), json!("lobby **"), json!("[lobby]"), json!(["a b"])] {
        let sentence = error(json!({ "channels": channels }));
        let begins = "requestContext.authorizer.channels cannot be read: a pattern of channels is the name of one, or the beginning of names and a *, not ";
        assert!(sentence.starts_with(begins), "{channels}: {sentence}");
    }
    for principal in ["a\nb", &"x".repeat(129)] {
        assert_eq!(
            error(json!({ "principalId": principal })),
            "requestContext.authorizer.principalId cannot be read: a principal has 1 to 128 characters, none of them a control character"
        );
    }
}

#[test]
fn who_was_let_in_before_with_what_cannot_be_read_may_use_no_channel_and_leaves_as_all_do() {
    for said in [json!({"principalId": "a\nb"}), json!({"principalId": "ada", "channels": "**"})] {
        for mut json in [fixtures::message_json(), fixtures::disconnect_json()] {
            json["requestContext"]["authorizer"] = said.clone();
            let (connection, channels) = match parse(json).unwrap() {
                Event::Message(event) => (event.connection, event.channels),
                Event::Disconnect(event) => (event.connection, event.channels),
                Event::Connect(_) => unreachable!(),
            };
            assert_eq!((connection.principal, channels), (None, ChannelPermissions::none()), "{said}");
        }
    }
}

proptest! {
    /// No patterns but those that were read, and no more than a rejection of the rest.
    #[test]
    fn whatever_an_authorizer_says_is_read_or_refused(principal in any::<String>(), channels in any::<String>()) {
        if let Ok(event) = authorized(json!({"principalId": principal, "channels": channels})) {
            let known = (!principal.is_empty()).then(|| Principal::parse(principal).unwrap());
            prop_assert_eq!(event.connection.principal, known);
            prop_assert_eq!(event.channels, ChannelPermissions::parse(&channels).unwrap());
        }
    }
}
