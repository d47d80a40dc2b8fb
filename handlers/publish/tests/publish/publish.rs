//! The function behind the queue, against a DynamoDB engine, a queue, and connections.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use lambda_websocket::{
    broadcast::{Broadcast, Broadcaster, Handover},
    channel::Channel,
    error::Error,
    fanout::{Fanout, Policy},
    runtime::Record,
};
use proptest::prelude::*;
use publish::publish;
use serde_json::{Value, json};
use testkit::{connections::Connections, dynamodb::ConnectionTable, fixtures, hostile, queue::FakeQueue};
use tokio::time::Instant;

struct World {
    table: ConnectionTable,
    connections: Connections,
    queue: FakeQueue,
    broadcaster: Broadcaster,
}

impl World {
    /// Connections, each in the channels that are named behind it.
    async fn with(members: &[(&str, &[&str])]) -> Self {
        let (table, connections, queue) =
            (ConnectionTable::start().await, Connections::start().await, FakeQueue::start().await);
        let broadcaster = Broadcaster {
            registry: table.registry(),
            fanout: Fanout::new(connections.client(), Policy::default()),
            handover: Some(Handover { queue: queue.queue(), after: 2 }),
            announcer: None,
            history: None,
        };
        for (id, channels) in members {
            let connection = fixtures::connect(id).connection;
            for channel in *channels {
                broadcaster.registry.add(&Channel::parse(*channel).unwrap(), &connection).await.unwrap();
            }
        }
        Self { table, connections, queue, broadcaster }
    }

    async fn publish(&self, body: &str) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let record = Record { id: "sqs-id".to_owned(), body: body.to_owned(), deadline };
        publish(&self.broadcaster, record).await
    }

    fn heard_by(&self, id: &str) -> Vec<Value> {
        let mut heard: Vec<Value> = self
            .connections
            .delivered_to(id)
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        for message in &mut heard {
            let sent_at = message.as_object_mut().unwrap().remove("sentAt").unwrap();
            let age = fixtures::now_millis() - sent_at.as_u64().unwrap();
            assert!(age < 60_000, "sent {age} ms ago");
        }
        heard
    }
}

#[tokio::test]
async fn a_publication_reaches_a_channel_a_user_or_a_connection() {
    let world =
        World::with(&[("a=", &["*", "orders"]), ("b=", &["*", "user:ada"]), ("c=", &["user:ada", "orders"])])
            .await;
    for (body, heard, by) in [
        (
            json!({"channel": "orders", "message": {"total": 1.0}, "id": "o-1"}),
            json!({"type": "message", "id": "o-1", "channel": "orders", "message": {"total": 1.0}}),
            ["a=", "c="].as_slice(),
        ),
        (
            json!({"channel": "*", "message": null, "exclude": ["a="]}),
            json!({"type": "message", "id": "sqs-id", "channel": "*", "message": null}),
            &["b="],
        ),
        (
            json!({"user": "ada", "message": "hi"}),
            json!({"type": "message", "id": "sqs-id", "channel": "user:ada", "message": "hi"}),
            &["b=", "c="],
        ),
        (
            json!({"connection": "a=", "message": [1]}),
            json!({"type": "message", "id": "sqs-id", "message": [1]}),
            &["a="],
        ),
        (json!({"connection": "a=", "message": 1, "exclude": ["a="]}), Value::Null, &[]),
    ] {
        let before = ["a=", "b=", "c="].map(|id| world.heard_by(id).len());
        world.publish(&body.to_string()).await.unwrap();
        for (id, before) in ["a=", "b=", "c="].into_iter().zip(before) {
            let new = &world.heard_by(id)[before..];
            let expected = if by.contains(&id) { std::slice::from_ref(&heard) } else { &[] };
            assert_eq!(new, expected, "{body} at {id}");
        }
    }
}

#[tokio::test]
async fn what_is_left_over_is_read_and_goes_on_under_the_same_id() {
    let world = World::with(&[("a=", &["*"]), ("b=", &["*"]), ("c=", &["*"])]).await;
    world.publish(r#"{"channel": "*", "message": 1, "id": "own"}"#).await.unwrap();
    let queued = world.queue.take();
    assert_eq!(queued.len(), 1);
    world.publish(&queued[0].body).await.unwrap();
    assert!(world.queue.take().is_empty());
    for id in ["a=", "b=", "c="] {
        let heard = world.heard_by(id);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!("own")));
    }
}

#[tokio::test]
async fn what_is_published_to_a_channel_or_a_user_is_kept() {
    let mut world = World::with(&[("a=", &["*", "orders"]), ("b=", &["*"]), ("c=", &["*"])]).await;
    world.broadcaster.history = Some(world.table.history(10).await);
    for body in [
        r#"{"channel": "*", "message": 1, "id": "1"}"#,
        r#"{"channel": "orders", "message": 2, "id": "2", "exclude": ["a="]}"#,
        r#"{"user": "ada", "message": 3, "id": "3"}"#,
        r#"{"connection": "a=", "message": 4, "id": "4"}"#,
    ] {
        world.publish(body).await.unwrap();
    }
    for sent in world.queue.take() {
        world.publish(&sent.body).await.unwrap();
    }
    let mut kept = Vec::new();
    for row in world.table.history_rows().await {
        let text = |name: &str| row[name].as_s().unwrap().clone();
        let frame: Value = serde_json::from_str(&text("frame")).unwrap();
        assert_eq!(text("at"), format!("{}#{}", frame["sentAt"], frame["id"].as_str().unwrap()));
        assert_eq!(text("channel"), frame["channel"]);
        kept.push((text("channel"), frame["message"].clone()));
    }
    kept.sort_by_key(|(channel, _)| channel.clone());
    let expected = [("*", 1), ("orders", 2), ("user:ada", 3)];
    assert_eq!(kept, expected.map(|(channel, message)| (channel.to_owned(), json!(message))));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_that_says_why_and_reaches_nobody() {
    let world = World::with(&[("a=", &["*", "user:ada"])]).await;
    let many = vec!["b="; 1_001];
    for (body, says) in [
        (json!("hello"), "it is not {\"channel\""),
        (json!({}), "missing field `message`"),
        (json!({"channel": "*"}), "missing field `message`"),
        (json!({"message": 1}), "it takes one of channel, user and connection"),
        (json!({"channel": "*", "user": "ada", "message": 1}), "it takes one of channel"),
        (json!({"channel": null, "user": "ada", "message": 1}), "invalid type: null"),
        (json!({"channel": "a b", "message": 1}), "a channel is "),
        (json!({"user": "", "message": 1}), "a principal has 1 to 128 characters"),
        (json!({"connection": "?", "message": 1}), "a connection id has 1 to 128 characters"),
        (json!({"channel": "*", "message": 1, "exclude": ["?"]}), "a connection id has"),
        (json!({"channel": "*", "message": 1, "exclude": many}), "it leaves out more than 1000 connections"),
        (json!({"channel": "*", "message": 1, "id": ""}), "its id has 1 to 128 characters"),
        (json!({"channel": "*", "message": 1, "id": "x".repeat(129)}), "its id has 1 to 128 characters"),
        (json!({"channel": "*", "message": 1, "chanel": "*"}), "unknown field `chanel`"),
        (json!({"channel": "*", "message": "x".repeat(131_072)}), "at most 131072 can be delivered"),
    ] {
        let error = world.publish(&body.to_string()).await.unwrap_err();
        let sentence = lambda_websocket::error::chain(&error);
        assert_eq!(error.error_type(), "WebSocket.Publication");
        assert!(sentence.contains(says), "{sentence}");
    }
    assert!(world.heard_by("a=").is_empty() && world.queue.take().is_empty());
}

/// What is handed over, as it is in the queue.
fn remainder(broadcast: &Broadcast) -> String {
    format!(r#"{{"remainder":{}}}"#, serde_json::to_string(broadcast).unwrap())
}

const PUBLICATION: &str = r#"{"channel":"*","message":{"text":"h\u00e9"},"exclude":["a=","b="],"id":"1"}"#;
const BEHIND: &str = r#"{"remainder":{"messageId":"1","channel":"lobby","frame":{},"exclude":["a="],"to":{"behind":[{"shard":3,"after":"b="},{"shard":4,"after":null}]}}}"#;
const CONNECTIONS: &str = r#"{"remainder":{"messageId":"1","channel":"*","frame":{},"exclude":[],"to":{"connections":["a=","b="]},"retries":5}}"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    /// Any text is a broadcast or an error, and what is handed over is read as it was written.
    #[test]
    fn any_text_is_read_or_refused(text in prop_oneof![
        any::<String>(),
        hostile::object(&["channel", "user", "connection", "message", "exclude", "id", "remainder"]),
        hostile::object(&["messageId", "channel", "frame", "exclude", "to", "retries"]).prop_map(|object| format!(r#"{{"remainder":{object}}}"#)),
        hostile::object(&["behind", "connections", "everyone"])
            .prop_map(|to| format!(r#"{{"remainder":{{"messageId":"1","channel":"*","frame":{{}},"exclude":[],"to":{to}}}}}"#)),
        hostile::near(PUBLICATION),
        hostile::near(BEHIND),
        hostile::near(CONNECTIONS),
    ]) {
        match Broadcast::parse(&text, "id", 0) {
            Ok(broadcast) => {
                let again = Broadcast::parse(&remainder(&broadcast), "other", 1).unwrap();
                prop_assert_eq!(remainder(&again), remainder(&broadcast));
            }
            Err(error) => {
                let sentence = lambda_websocket::error::chain(&error);
                prop_assert!(sentence.len() < 2_000, "{} bytes go into the log: {:.200}", sentence.len(), sentence);
            }
        }
    }
}

#[test]
fn what_no_function_would_hand_over_is_refused() {
    let remainder = |frame: &str, exclude: usize, to: Value| {
        let broadcast = json!({"messageId": "m", "channel": "*", "frame": frame, "exclude": vec!["a="; exclude], "to": to});
        Broadcast::parse(&json!({ "remainder": broadcast }).to_string(), "id", 0)
    };
    let behind = |count| json!({"behind": vec![json!({"shard": 0, "after": null}); count]});
    let connections = |count| json!({"connections": vec!["b="; count]});
    let (longest, longer) = ("x".repeat(131_070), "x".repeat(131_071)); // And the quotation marks.
    for (frame, exclude, to, is_read) in [
        (longest.as_str(), 1_000, behind(64), true),
        (longest.as_str(), 1_000, connections(500), true),
        (longer.as_str(), 0, behind(1), false),
        ("{}", 1_001, behind(1), false),
        ("{}", 0, behind(65), false),
        ("{}", 0, connections(501), false),
        ("{}", 0, json!({"behind": [{"shard": 256, "after": null}]}), false),
        ("{}", 0, json!({"behind": [{"shard": 0, "after": "?"}]}), false),
        ("{}", 0, json!({"connections": ["?"]}), false),
        ("{}", 0, json!({"nobody": []}), false),
    ] {
        let read = remainder(frame, exclude, to.clone());
        assert_eq!(
            read.is_ok(),
            is_read,
            "{} bytes, {exclude} left out, to {:.80}",
            frame.len(),
            to.to_string()
        );
    }
    for (retries, is_read) in [("0", true), ("5", true), ("6", false), ("256", false), ("null", false)] {
        let text = CONNECTIONS.replace(r#""retries":5"#, &format!(r#""retries":{retries}"#));
        assert_eq!(Broadcast::parse(&text, "id", 0).is_ok(), is_read, "{retries} retries");
    }
}
