//! What clients, authorizers and queues send, near what is wanted and far from it: read or refused, and a rejection is
//! short, since it goes into an answer or a log.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;

use lambda_websocket::{
    Channel, ChannelPermissions, ConnectionId, Event, Principal, log::chain, protocol::cursor::Cursor,
};
use proptest::prelude::*;
use serde_json::Value;
use testkit::{fixtures, hostile};
use tokio::time::Instant;

/// The most of a rejection, in bytes.
const SENTENCE: usize = 2_000;

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        hostile::value(),
        ("[a-z*:#. =]{1,8}", 1..50_000_usize).prop_map(|(piece, times)| piece.repeat(times)),
    ]
}

fn is_short<T>(read: Result<T, impl Error + 'static>) -> Result<(), TestCaseError> {
    if let Err(error) = read {
        let sentence = chain(&error);
        prop_assert!(sentence.len() <= SENTENCE, "{} bytes: {:.200}", sentence.len(), sentence);
    }
    Ok(())
}

/// An event of API Gateway with another value in one place.
fn event() -> impl Strategy<Value = String> {
    let events = [fixtures::connect_json(), fixtures::message_json(), fixtures::disconnect_json()];
    let paths: Vec<(Value, String)> = events
        .into_iter()
        .flat_map(|event| {
            let mut fields: Vec<String> =
                event.as_object().unwrap().keys().map(|name| format!("/{name}")).collect();
            let context = event["requestContext"].as_object().unwrap().keys();
            fields.extend(context.map(|name| format!("/requestContext/{name}")));
            fields.extend(
                ["/requestContext/authorizer/principalId", "/requestContext/authorizer/channels"]
                    .map(str::to_owned),
            );
            fields.into_iter().map(move |field| (event.clone(), field))
        })
        .collect();
    (prop::sample::select(paths), hostile::value()).prop_map(|((mut event, path), value)| {
        event["requestContext"]["authorizer"] =
            serde_json::json!({"principalId": "ada", "channels": "lobby"});
        // A mark, since what takes its place need not be JSON.
        *event.pointer_mut(&path).unwrap() = "<here>".into();
        event.to_string().replace("\"<here>\"", &value)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn any_event_is_read_or_refused(event in event()) {
        if let Ok(request) = serde_json::from_str(&event) {
            is_short(Event::parse(request, Instant::now()))?;
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any_text()) {
        is_short(Channel::parse(text.clone()))?;
        is_short(ConnectionId::parse(text.clone()))?;
        is_short(Cursor::parse(&text))?;
        is_short(Principal::parse(text.clone()))?;
        is_short(ChannelPermissions::parse(&text))?;
    }
}
