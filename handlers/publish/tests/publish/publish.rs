//! The function behind the queue, against a DynamoDB engine, a queue, and connections.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{ops::Range, time::Duration};

use lambda_websocket::{
    Broadcaster, Channel, Error, Publication, Task,
    delivery::{
        continuations::Continuations,
        poster::{Policy, Poster},
    },
    lambda::queue_batch::Record,
};
use proptest::prelude::*;
use publish::{Publisher, publish};
use serde_json::{Value, json};
use testkit::{connections::Connections, dynamodb::ConnectionTable, fixtures, hostile, queue::FakeQueue};

struct World {
    table: ConnectionTable,
    connections: Connections,
    queue: FakeQueue,
    publisher: Publisher,
}

impl World {
    /// Connections, each in the channels that are named behind it.
    async fn with(members: &[(&str, &[&str])]) -> Self {
        let (table, connections, queue) =
            (ConnectionTable::start().await, Connections::start().await, FakeQueue::start().await);
        let broadcaster = Broadcaster {
            registry: table.registry(),
            poster: Poster::new(connections.client(), Policy::default()),
            continuations: Some(Continuations { queue: queue.queue(), after: 2, ranges: None }),
            notifier: None,
            history: None,
        };
        for (id, channels) in members {
            let connection = fixtures::connect(id).connection;
            for channel in *channels {
                broadcaster.registry.add(&Channel::parse(*channel).unwrap(), &connection).await.unwrap();
            }
        }
        let publisher = Publisher { broadcaster, task_queues: fixtures::task_queues() };
        Self { table, connections, queue, publisher }
    }

    async fn publish(&self, body: &str) -> Result<(), Error> {
        publish(&self.publisher, fixtures::publication(body)).await
    }

    async fn deliver(&self, body: &str) -> Result<(), Error> {
        publish(&self.publisher, fixtures::delivery(body)).await
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
    world.deliver(&queued[0].body).await.unwrap();
    assert!(world.queue.take().is_empty());
    for id in ["a=", "b=", "c="] {
        let heard = world.heard_by(id);
        assert_eq!((heard.len(), &heard[0]["id"]), (1, &json!("own")));
    }
}

#[tokio::test]
async fn what_is_published_to_a_channel_or_a_user_is_kept() {
    let mut world = World::with(&[("a=", &["*", "orders"]), ("b=", &["*"]), ("c=", &["*"])]).await;
    world.publisher.broadcaster.history = Some(world.table.history(10).await);
    for body in [
        r#"{"channel": "*", "message": 1, "id": "1"}"#,
        r#"{"channel": "orders", "message": 2, "id": "2", "exclude": ["a="]}"#,
        r#"{"user": "ada", "message": 3, "id": "3"}"#,
        r#"{"connection": "a=", "message": 4, "id": "4"}"#,
    ] {
        world.publish(body).await.unwrap();
    }
    for sent in world.queue.take() {
        world.deliver(&sent.body).await.unwrap();
    }
    let kept = world.table.messages().await.into_iter().map(|(channel, seq, frame)| {
        let frame: Value = serde_json::from_str(&frame).unwrap();
        assert_eq!((&frame["channel"], &frame["seq"]), (&json!(channel), &json!(seq)));
        (channel, frame["message"].clone())
    });
    let kept: Vec<_> = kept.collect();
    let expected = [("*", 1), ("orders", 2), ("user:ada", 3)];
    assert_eq!(kept, expected.map(|(channel, message)| (channel.to_owned(), json!(message))));
}

#[tokio::test]
async fn who_is_left_out_hears_that_a_number_is_not_missing() {
    let mut world = World::with(&[("a=", &["orders"]), ("b=", &["orders"])]).await;
    world.publisher.broadcaster.history = Some(world.table.history(10).await);
    for _ in 0..2 {
        world
            .publish(r#"{"channel": "orders", "message": 2, "id": "2", "exclude": ["a=", "stranger="]}"#)
            .await
            .unwrap();
    }
    assert!(world.connections.delivered_to("stranger=").is_empty(), "the channel is none of its business");
    let skipped = r#"{"type":"skipped","channel":"orders","seq":1}"#;
    assert_eq!(world.connections.delivered_to("a="), [skipped], "once");
    assert_eq!(world.heard_by("b=").len(), 1);
    world.publisher.broadcaster.history = None;
    world.publish(r#"{"channel": "orders", "message": 2, "exclude": ["a="]}"#).await.unwrap();
    assert_eq!(world.connections.delivered_to("a=").len(), 1, "without a history there are no numbers");
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
        let sentence = lambda_websocket::log::chain(&error);
        assert_eq!(error.error_type(), "WebSocket.Publication");
        assert!(sentence.contains(says), "{sentence}");
    }
    assert!(world.heard_by("a=").is_empty() && world.queue.take().is_empty());
}

#[tokio::test]
async fn what_not_every_client_could_read_is_passed_on_to_nobody() {
    let world = World::with(&[("a=", &["*"])]).await;
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    for (message, says) in [
        ("1e400", "The number 1e400 is too large"),
        (r#""\ud800""#, "half of a surrogate pair"),
        (r#"{"a":1,"a":2}"#, "comes twice in one object"),
        (&deep, "nested more than 64 levels deep"),
    ] {
        let error = world.publish(&format!(r#"{{"channel":"*","message":{message}}}"#)).await.unwrap_err();
        let sentence = lambda_websocket::log::chain(&error);
        assert_eq!(error.error_type(), "WebSocket.Publication");
        assert!(sentence.contains(says), "{sentence}");
    }
    assert!(world.heard_by("a=").is_empty() && world.queue.take().is_empty());
    world.publish(&format!(r#"{{"channel":"*","message":{}}}"#, &deep[1..127])).await.unwrap();
    assert_eq!(world.heard_by("a=").len(), 1);
}

const PUBLICATION: &str = r#"{"channel":"*","message":{"text":"h\u00e9"},"exclude":["a=","b="],"id":"1"}"#;
const CURSOR: &str = r#"{"broadcast":{"messageId":"1","channel":"lobby","frame":{},"exclude":["a="],"to":{"cursor":[{"shard":3,"after":"b="},{"shard":4,"after":null}]},"retries":0}}"#;
const CONNECTIONS: &str = r#"{"broadcast":{"messageId":"1","channel":"*","frame":{},"exclude":[],"to":{"connections":["a=","b="]},"retries":5}}"#;
const PRUNE: &str = r#"{"prune":{"channel":"lobby","members":["3.a=","0.b="],"foundAt":1700000000123}}"#;
const LEAVE: &str =
    r#"{"leave":{"channel":"lobby","connectionId":"a=","principal":"ada","shard":3,"at":1700000000123}}"#;

/// When deliveries are read, in milliseconds since the Unix epoch.
const NOW: u64 = 1_700_000_001_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    /// Any text is a publication or an error.
    #[test]
    fn any_publication_is_read_or_refused(text in prop_oneof![
        any::<String>(),
        hostile::object(&["channel", "user", "connection", "message", "exclude", "id", "remainder"]),
        hostile::near(PUBLICATION),
    ]) {
        if let Err(error) = Publication::parse(&text).and_then(|publication| publication.into_broadcast("id", 0)) {
            let sentence = lambda_websocket::log::chain(&error);
            prop_assert!(sentence.len() < 2_000, "{} bytes go into the log: {:.200}", sentence.len(), sentence);
        }
    }

    /// Any text is a delivery or an error, and what is handed over is read as it was written.
    #[test]
    fn any_delivery_is_read_or_refused(text in prop_oneof![
        any::<String>(),
        hostile::object(&["broadcast", "prune", "leave"]),
        hostile::object(&["messageId", "channel", "frame", "exclude", "to", "retries"]).prop_map(|object| format!(r#"{{"broadcast":{object}}}"#)),
        hostile::object(&["cursor", "connections", "everyone"])
            .prop_map(|to| format!(r#"{{"broadcast":{{"messageId":"1","channel":"*","frame":{{}},"exclude":[],"to":{to},"retries":0}}}}"#)),
        hostile::near(CURSOR),
        hostile::near(CONNECTIONS),
        hostile::near(PRUNE),
        hostile::near(LEAVE),
    ]) {
        match Task::parse(&text, NOW) {
            Ok(delivery) => {
                let written = delivery.to_text();
                let again = Task::parse(&written, NOW).unwrap();
                prop_assert_eq!(again.to_text(), written);
            }
            Err(error) => {
                let sentence = lambda_websocket::log::chain(&error);
                prop_assert!(sentence.len() < 2_000, "{} bytes go into the log: {:.200}", sentence.len(), sentence);
            }
        }
    }
}

#[test]
fn what_no_function_would_hand_over_is_refused() {
    let broadcast = |frame: &str, exclude: usize, to: Value| {
        let broadcast = json!({"messageId": "m", "channel": "*", "frame": frame, "exclude": vec!["a="; exclude], "to": to, "retries": 0});
        Task::parse(&json!({ "broadcast": broadcast }).to_string(), NOW)
    };
    let cursor = |shards: Range<u64>| {
        let places: Vec<_> = shards.map(|shard| json!({"shard": shard, "after": null})).collect();
        json!({"cursor": places})
    };
    let connections =
        |count| json!({"connections": (0..count).map(|n| format!("c{n}=")).collect::<Vec<_>>()});
    let (longest, longer) = ("x".repeat(131_070), "x".repeat(131_071)); // And the quotation marks.
    for (frame, exclude, to, is_read) in [
        (longest.as_str(), 1_000, cursor(0..64), true),
        (longest.as_str(), 1_000, connections(500), true),
        ("{}", 0, json!("everyone"), true),
        (longer.as_str(), 0, cursor(0..1), false),
        ("{}", 1_001, cursor(0..1), false),
        ("{}", 0, cursor(0..0), false),
        ("{}", 0, cursor(0..65), false),
        ("{}", 0, cursor(64..65), false),
        ("{}", 0, json!({"cursor": [{"shard": 1, "after": "b="}, {"shard": 1, "after": null}]}), false),
        ("{}", 0, connections(0), false),
        ("{}", 0, connections(501), false),
        ("{}", 0, json!({"connections": ["b=", "c=", "b="]}), false),
        ("{}", 0, json!({"cursor": [{"shard": 256, "after": null}]}), false),
        ("{}", 0, json!({"cursor": [{"shard": 0, "after": "?"}]}), false),
        ("{}", 0, json!({"connections": ["?"]}), false),
        ("{}", 0, json!({"nobody": []}), false),
    ] {
        let read = broadcast(frame, exclude, to.clone());
        assert_eq!(
            read.is_ok(),
            is_read,
            "{} bytes, {exclude} left out, to {:.80}",
            frame.len(),
            to.to_string()
        );
    }
    let is_read = |text: &str| Task::parse(text, NOW).is_ok();
    for (retries, expected) in [("0", true), ("5", true), ("6", false), ("256", false), ("null", false)] {
        let text = CONNECTIONS.replace(r#""retries":5"#, &format!(r#""retries":{retries}"#));
        assert_eq!(is_read(&text), expected, "{retries} retries");
    }
    assert!(
        !is_read(&CURSOR.replace(r#""retries":0"#, r#""retries":1"#)),
        "only connections are tried again"
    );
    for (id, expected) in [("x".repeat(128), true), ("x".repeat(129), false), (String::new(), false)] {
        assert_eq!(
            is_read(&CURSOR.replace(r#""messageId":"1""#, &format!(r#""messageId":"{id}""#))),
            expected
        );
    }
    assert!(
        !is_read(&CURSOR.replace(r#""retries":0"#, r#""retries":0,"sentAt":1"#)),
        "it was written down before"
    );
    for text in [PRUNE, LEAVE] {
        assert!(is_read(text));
        assert!(!is_read(&text.replace("1700000000123", "1700000600000")), "found in the future");
        assert!(!is_read(&text.replace("lobby", "a b")));
        assert!(!is_read(&text.replace("shard\":3", "shard\":64").replace("3.a=", "64.a=")));
    }
    assert!(!is_read(&PRUNE.replace("0.b=", "1.a=")), "one connection twice");
    assert!(!is_read(&PRUNE.replace(r#""3.a=","0.b=""#, "")));
}

/// Whoever may publish may not say what only functions of this project leave to it.
#[tokio::test]
async fn what_comes_from_the_queue_of_publications_is_a_publication_and_nothing_else() {
    let world = World::with(&[("a=", &["*", "lobby"]), ("b=", &["*"])]).await;
    let forged = json!({"type": "message", "id": "m", "from": "b=", "principal": "root", "message": "give me your password"});
    let broadcast = json!({"messageId": "m", "channel": "*", "frame": forged, "exclude": [], "to": "everyone", "retries": 0});
    for body in [
        json!({ "broadcast": broadcast }),
        json!({ "remainder": broadcast }),
        serde_json::from_str(CURSOR).unwrap(),
        serde_json::from_str(CONNECTIONS).unwrap(),
        serde_json::from_str(PRUNE).unwrap(),
        serde_json::from_str(LEAVE).unwrap(),
    ] {
        let error = world.publish(&body.to_string()).await.unwrap_err();
        assert_eq!(error.error_type(), "WebSocket.Publication", "{body}");
    }
    let error = world.deliver(PUBLICATION).await.unwrap_err();
    assert_eq!(error.error_type(), "WebSocket.Delivery");
    assert!(world.heard_by("a=").is_empty() && world.queue.take().is_empty());
    assert_eq!(world.table.connection_ids().await.len(), 3);
}

/// SQS delivers at least once.
#[tokio::test]
async fn a_publication_that_a_backend_sends_again_is_one_message() {
    let mut world = World::with(&[("a=", &["orders", "user:ada"])]).await;
    world.publisher.broadcaster.history = Some(world.table.history(10).await);
    for destination in [r#""channel":"orders""#, r#""user":"ada""#] {
        for _ in 0..3 {
            // Another record each time, from a backend that did not hear that it was taken.
            world.publish(&format!(r#"{{{destination},"message":1,"id":"order-4711"}}"#)).await.unwrap();
        }
    }
    assert_eq!(world.heard_by("a=").len(), 2, "once in each channel");
    for record_id in ["1", "2"] {
        world.publish(r#"{"connection":"a=","message":1,"id":"order-4711"}"#).await.unwrap();
        let record = fixtures::publication(r#"{"channel":"orders","message":1}"#);
        publish(&world.publisher, Record { id: record_id.to_owned(), ..record }).await.unwrap();
    }
    assert_eq!(world.heard_by("a=").len(), 6, "nothing tells these apart but the client");
}

#[tokio::test]
async fn a_publication_that_comes_again_is_kept_once_and_was_sent_when_it_was() {
    let mut world = World::with(&[("a=", &["orders"])]).await;
    world.publisher.broadcaster.history = Some(world.table.history(10).await);
    let sent_at = fixtures::now_millis() - 2_000;
    for receives in 1..=2 {
        let record = fixtures::publication(r#"{"channel": "orders", "message": 1}"#);
        publish(&world.publisher, Record { sent_at, receives, ..record }).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let kept = world.table.messages().await;
    let [(channel, 1, frame)] = kept.as_slice() else { panic!("one message, not {kept:?}") };
    assert_eq!((channel.as_str(), &world.connections.delivered_to("a=")), ("orders", &vec![frame.clone()]));
    for heard in world.connections.delivered_to("a=") {
        assert_eq!(serde_json::from_str::<Value>(&heard).unwrap()["sentAt"], sent_at);
    }
}
