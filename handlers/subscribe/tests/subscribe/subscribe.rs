//! The actions `subscribe`, `unsubscribe` and `list`, against a DynamoDB engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use lambda_websocket::{Channel, ChannelPermissions, Connection, Message, Principal};
use proptest::prelude::*;
use serde_json::{Value, json};
use subscribe::{MaxSubscriptions, Subscriptions, subscribe};
use testkit::{
    dynamodb::ConnectionTable,
    fixtures, hostile,
    simulation::{Fate, Simulation},
};

struct Chat {
    table: ConnectionTable,
    subscriptions: Subscriptions,
}

impl Chat {
    async fn start(shards: u8) -> Self {
        let table = ConnectionTable::start().await;
        let registry = table.sharded_registry(shards);
        let max = MaxSubscriptions::default();
        Self { subscriptions: Subscriptions { registry, max, notifier: None, replayer: None }, table }
    }

    /// The frame that the client gets back.
    async fn say(&self, from: &str, body: &str) -> Value {
        self.answer(fixtures::message(from, body)).await
    }

    async fn answer(&self, event: Message) -> Value {
        let response = subscribe(&self.subscriptions, event).await.unwrap();
        let response = serde_json::to_value(response).unwrap();
        serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
    }

    /// Puts a connection into a channel, whatever its name.
    async fn put(&self, channel: &Channel, connection: &Connection) {
        self.subscriptions.registry.add(channel, connection).await.unwrap();
    }

    /// All pages of a list.
    async fn pages(&self, channel: &str, limit: u64) -> Vec<Vec<Value>> {
        let mut request = json!({"action": "list", "channel": channel, "limit": limit});
        let mut pages = Vec::new();
        loop {
            let mut page = self.say("a=", &request.to_string()).await;
            assert_eq!((&page["type"], &page["channel"]), (&json!("members"), &json!(channel)), "{page}");
            pages.push(page["members"].as_array().unwrap().clone());
            match page["next"].take() {
                Value::Null => return pages,
                next => request["after"] = next,
            }
        }
    }
}

fn of(principal: &str, id: &str) -> Connection {
    Connection { principal: Some(Principal::parse(principal).unwrap()), ..fixtures::connect(id).connection }
}

fn ids(pages: &[Vec<Value>]) -> Vec<String> {
    let members = pages.iter().flatten();
    let mut ids: Vec<_> = members.map(|member| member["connectionId"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn who_subscribes_is_in_the_channel_until_they_unsubscribe() {
    for shards in [1, 4] {
        let chat = Chat::start(shards).await;
        for (action, told, members) in [
            ("subscribe", "subscribed", &["a="] as &[_]),
            ("subscribe", "subscribed", &["a="]),
            ("unsubscribe", "unsubscribed", &[]),
            ("unsubscribe", "unsubscribed", &[]),
        ] {
            let answer = chat.say("a=", &json!({"action": action, "channel": "lobby"}).to_string()).await;
            let mut expected = json!({"type": told, "channel": "lobby", "requestId": "BkQ5aH5UliAFpOA="});
            if action == "subscribe" {
                expected["connectionId"] = json!("a=");
            }
            assert_eq!(answer, expected);
            assert_eq!(chat.table.connection_ids().await, members);
        }
    }
}

#[tokio::test]
async fn at_most_so_many_subscriptions() {
    let mut chat = Chat::start(4).await;
    chat.subscriptions.max = "2".parse().unwrap();
    let mut subscribe = Vec::new();
    for channel in ["one", "two", "three", "two"] {
        let body = json!({"action": "subscribe", "channel": channel}).to_string();
        subscribe.push(chat.say("a=", &body).await);
    }
    let told = subscribe.iter().map(|answer| answer["type"].as_str().unwrap());
    assert_eq!(told.collect::<Vec<_>>(), ["subscribed", "subscribed", "error", "subscribed"]);
    assert_eq!(subscribe[2]["code"], "too_many_subscriptions");
    let sentence = "You may be subscribed to 2 channels at once: unsubscribe from one first.";
    assert_eq!(subscribe[2]["message"], sentence);
}

#[test]
fn the_most_subscriptions_are_a_number() {
    assert_eq!("50".parse(), Ok(MaxSubscriptions::default()));
    for text in ["", "-1", "65536", "many"] {
        let error = text.parse::<MaxSubscriptions>().unwrap_err();
        assert_eq!(error.to_string(), "a connection may have 0 to 65535 subscriptions", "{text}");
    }
}

#[tokio::test]
async fn the_list_tells_who_is_there_and_since_when() {
    let chat = Chat::start(1).await;
    let (ada, anonymous) = (of("ada", "a="), fixtures::connect("b=").connection);
    let lobby = Channel::parse("lobby").unwrap();
    chat.put(&lobby, &ada).await;
    chat.put(&lobby, &anonymous).await;
    chat.put(&Channel::everyone(), &of("eve", "c=")).await;
    assert_eq!(
        chat.say("outside=", r#"{"action":"list","channel":"lobby"}"#).await,
        json!({
            "type": "members", "channel": "lobby", "requestId": "BkQ5aH5UliAFpOA=", "members": [
                {"connectionId": "a=", "principal": "ada", "connectedAt": ada.connected_at},
                {"connectionId": "b=", "connectedAt": anonymous.connected_at},
            ],
        })
    );
    assert_eq!(ids(&chat.pages("*", 10).await), ["c="]);
    assert_eq!(ids(&chat.pages("nobody.is/here", 10).await), [""; 0]);
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    for shards in [1, 4] {
        let chat = Chat::start(shards).await;
        let expected: Vec<_> = (0..250).map(|n| format!("c{n:03}=")).collect();
        for id in &expected {
            chat.put(&Channel::everyone(), &fixtures::connect(id).connection).await;
        }
        for (limit, lengths) in [
            (100, &[100_usize, 100, 50] as &[_]),
            (125, &[125, 125]),
            (249, &[249, 1]),
            (250, &[250]),
            (1_000, &[250]),
        ] {
            let pages = chat.pages("*", limit).await;
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), lengths, "{shards} shards");
            assert_eq!(ids(&pages), expected, "{shards} shards, limit {limit}");
        }
        let page = chat.say("a=", r#"{"action":"list","channel":"*"}"#).await;
        assert_eq!(page["members"].as_array().unwrap().len(), 100, "unless the client says so");
    }
}

#[tokio::test]
async fn a_page_fits_into_a_frame_whoever_is_in_it() {
    let chat = Chat::start(4).await;
    let longest = "\u{10ffff}".repeat(128); // in UTF-8, 512 bytes
    let channel = Channel::user(&Principal::parse(longest.clone()).unwrap());
    let expected: Vec<_> = (0..600).map(|n| format!("{n:0128}")).collect();
    for id in &expected {
        chat.put(&channel, &of(&longest, id)).await;
    }
    let reference = "\u{1}".repeat(64); // in JSON, 384 bytes
    let body = json!({"action": "list", "channel": channel, "limit": 1_000, "ref": reference}).to_string();
    let bytes = chat.say("a=", &body).await.to_string().len();
    assert!((126 * 1024..=128 * 1024).contains(&bytes), "{bytes} bytes");
    let pages = chat.pages(channel.as_str(), 1_000).await;
    assert!(pages.len() > 3, "{} pages", pages.len());
    assert_eq!(ids(&pages), expected);
}

#[tokio::test]
async fn a_channel_that_the_authorizer_did_not_allow_is_closed_to_every_action() {
    let chat = Chat::start(1).await;
    for (patterns, allowed) in [("", &[] as &[_]), ("orders.* lobby", &["lobby", "orders.eu"])] {
        for channel in ["lobby", "orders", "orders.eu", "user:ada", "*"] {
            for action in ["subscribe", "unsubscribe", "list"] {
                let body = json!({"action": action, "channel": channel}).to_string();
                let mut event = fixtures::message("a=", &body);
                event.channels = ChannelPermissions::parse(patterns).unwrap();
                let answer = chat.answer(event).await;
                let forbidden = answer["code"] == "forbidden";
                let hears = channel == "*" && action == "subscribe"; // whatever the patterns say
                assert_eq!(forbidden, !hears && !allowed.contains(&channel), "{patterns:?} {body} {answer}");
            }
        }
    }
}

#[tokio::test]
async fn who_is_in_a_reserved_channel_no_client_changes() {
    let chat = Chat::start(1).await;
    let ada = of("ada", "a=");
    chat.subscriptions.registry.register(&ada).await.unwrap();
    for patterns in [ChannelPermissions::all(), ChannelPermissions::parse("* user:*").unwrap()] {
        for action in ["subscribe", "unsubscribe"] {
            for channel in ["*", "user:ada", "user:eve"] {
                let body = json!({"action": action, "channel": channel}).to_string();
                let event = Message { connection: ada.clone(), ..fixtures::message("a=", &body) };
                let answer = chat.answer(Message { channels: patterns.clone(), ..event }).await;
                if action == "subscribe" && channel != "user:eve" {
                    assert_eq!(answer["type"], "subscribed", "it hears it anyway: {answer}");
                    continue;
                }
                assert_eq!(answer["code"], "forbidden", "{body} {answer}");
                assert!(answer["message"].as_str().unwrap().contains("settled when you connect"), "{answer}");
            }
        }
    }
    assert_eq!(chat.table.rows().await.len(), 2);
    assert_eq!(ids(&chat.pages("user:ada", 10).await), ["a="], "but who is there may be asked");
}

#[tokio::test]
async fn who_was_forgotten_while_it_connected_is_put_back_where_it_belongs() {
    let mut chat = Chat::start(4).await;
    chat.subscriptions.max = "0".parse().unwrap();
    for channel in ["*", "user:ada"] {
        let body = json!({"action": "subscribe", "channel": channel}).to_string();
        let mut event = fixtures::message("a=", &body);
        event.connection = of("ada", "a=");
        event.channels = ChannelPermissions::parse("").unwrap();
        assert_eq!(chat.answer(event).await["type"], "subscribed", "it does not count: {channel}");
        assert_eq!(ids(&chat.pages(channel, 10).await), ["a="]);
    }
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_and_changes_nothing() {
    let chat = Chat::start(1).await;
    let long = "x".repeat(20_000);
    for (body, code, says) in [
        ("", "invalid_json", "The message is not JSON. Send "),
        ("hello", "invalid_json", "The message is not JSON. Send "),
        ("[]", "invalid_request", "The message is not a JSON object."),
        (r#"{"channel":"lobby"}"#, "invalid_request", r#"The field "action" is missing."#),
        (r#"{"action":"subscribe"}"#, "invalid_request", r#"The field "channel" is missing."#),
        (r#"{"action":"subscribe","channel":1}"#, "invalid_request", r#"The field "channel" must be "*", "#),
        (
            r#"{"action":"subscribe","channel":"lobby","limit":1}"#,
            "invalid_request",
            r#"The field "limit" is unknown."#,
        ),
        (
            r#"{"action":"subscribe","channel":"lobby","since":-1}"#,
            "invalid_request",
            r#"The field "since" must be the sentAt of a message, or 0."#,
        ),
        (
            r#"{"action":"subscribe","channel":"lobby","since":"1"}"#,
            "invalid_request",
            r#"The field "since" must be the sentAt of a message, or 0."#,
        ),
        (
            r#"{"action":"subscribe","channel":"lobby","channel":"lobby"}"#,
            "invalid_json",
            r#"The name "channel" comes twice in one object."#,
        ),
        (
            r#"{"action":"unsubscribe","channel":"lobby","since":1}"#,
            "invalid_request",
            r#"The field "since" is unknown."#,
        ),
        (r#"{"action":"subscribe","channel":""}"#, "invalid_request", r#"The field "channel" must be "*", "#),
        (
            r#"{"action":"subscribe","channel":"a#0"}"#,
            "invalid_request",
            r#"The field "channel" must be "*", "#,
        ),
        (
            r#"{"action":"subscribe","channel":"orders.*"}"#,
            "invalid_request",
            r#"The field "channel" must be "*", "#,
        ),
        (&format!(r#"{{"action":"subscribe","channel":"{long}"}}"#), "invalid_request", r#"must be "*", "#),
        (
            r#"{"action":"join","channel":"lobby"}"#,
            "invalid_request",
            r#"The field "action" must be "subscribe", "unsubscribe" or "list"."#,
        ),
        (
            r#"{"action":"list","channel":"lobby","limit":0}"#,
            "invalid_request",
            r#"The field "limit" must be a whole number from 1 to 1000."#,
        ),
        (r#"{"action":"list","channel":"lobby","limit":1001}"#, "invalid_request", "from 1 to 1000."),
        (r#"{"action":"list","channel":"lobby","limit":-1}"#, "invalid_request", "from 1 to 1000."),
        (r#"{"action":"list","channel":"lobby","limit":1.5}"#, "invalid_request", "from 1 to 1000."),
        (
            r#"{"action":"list","channel":"lobby","after":"a"}"#,
            "invalid_request",
            r#"The field "after" must be the text that came as "next"."#,
        ),
        (
            r#"{"action":"list","channel":"lobby","after":"0.a","to":1}"#,
            "invalid_request",
            r#"The field "to" is unknown."#,
        ),
    ] {
        let answer = chat.say("a=", body).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{body}: {answer}");
        let sentence = answer["message"].as_str().unwrap();
        assert!(sentence.contains(says), "{body}: {answer}");
        for parsers_word in ["EOF", "expected", "invalid type", "column", "variant", "`"] {
            assert!(!sentence.contains(parsers_word), "{sentence}");
        }
        assert!(answer.to_string().len() < 4_000, "{} bytes", answer.to_string().len());
    }
    assert!(chat.table.rows().await.is_empty());
}

#[tokio::test]
async fn every_answer_carries_the_clients_reference() {
    let chat = Chat::start(1).await;
    for (fields, answer) in [
        (r#""action":"subscribe","channel":"lobby""#, "subscribed"),
        (r#""action":"list","channel":"lobby""#, "members"),
        (r#""action":"unsubscribe","channel":"lobby""#, "unsubscribed"),
        (r#""action":"subscribe","chanel":"lobby""#, "error"),
        (r#""action":"subscribe","channel":"*lobby""#, "error"),
    ] {
        let frame = chat.say("a=", &format!(r#"{{{fields},"ref":"é\"7"}}"#)).await;
        assert_eq!((&frame["type"], &frame["ref"]), (&json!(answer), &json!("é\"7")), "{frame}");
        let frame = chat.say("a=", &format!("{{{fields}}}")).await;
        assert_eq!(frame.get("ref"), None, "{frame}");
    }
    for reference in [json!(""), json!(7), json!(null), json!("a".repeat(65))] {
        let request = json!({"action": "subscribe", "channel": "lobby", "ref": reference});
        let frame = chat.say("a=", &request.to_string()).await;
        assert_eq!((&frame["code"], frame.get("ref")), (&json!("invalid_request"), None), "{frame}");
        let sentence = frame["message"].as_str().unwrap();
        assert!(
            sentence.starts_with(r#"The field "ref" must be a text of 1 to 64 characters."#),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn a_table_that_is_away_is_our_fault() {
    let chat = Chat::start(1).await;
    chat.table.drop_table().await;
    for action in ["subscribe", "unsubscribe", "list"] {
        let event = fixtures::message("a=", &json!({"action": action, "channel": "lobby"}).to_string());
        let error = subscribe(&chat.subscriptions, event).await.unwrap_err();
        assert_eq!(lambda_runtime::Diagnostic::from(error).error_type, "WebSocket.Registry", "{action}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client sends, it gets an answer and the function lives on.
    #[test]
    fn any_request_is_answered(
        action in "subscribe|unsubscribe|list|.{0,8}",
        channel in "[a-z:*#]{0,12}|user:.{0,12}",
        limit in any::<u64>(),
        since in any::<u64>(),
        after in "[0-9]{0,3}\\.?[a-z=]{0,4}|.{0,8}",
        text in any::<String>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let chat = Chat::start(4).await;
            for body in [
                text,
                json!({"action": action, "channel": channel}).to_string(),
                json!({"action": action, "channel": channel, "since": since}).to_string(),
                json!({"action": action, "channel": channel, "limit": limit % 1_100, "after": after}).to_string(),
            ] {
                let answer = chat.say("a=", &body).await;
                let told = answer["type"].as_str().unwrap();
                assert!(["subscribed", "unsubscribed", "members", "error"].contains(&told), "{body} {answer}");
            }
        });
    }
}

proptest! {
    /// Near a request, and far from it: an answer that is short where it refuses.
    #[test]
    fn any_text_is_answered(body in prop_oneof![
        hostile::object(&["action", "channel", "limit", "after", "since"]),
        hostile::near(r#"{"action":"subscribe","channel":"lobby"}"#),
        hostile::near(r#"{"action":"list","channel":"*","limit":100,"after":"0.a="}"#),
    ]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let simulation = Simulation::start();
            simulation.decide(|_| Fate::Served(Duration::ZERO));
            let (registry, max) = (simulation.registry(2), MaxSubscriptions::default());
            let subscriptions = Subscriptions { registry, max, notifier: None, replayer: None };
            let response = subscribe(&subscriptions, fixtures::message("a=", &body)).await.unwrap();
            let response = serde_json::to_value(response).unwrap();
            let answer = response["body"].as_str().unwrap();
            prop_assert!(answer.len() < 4_000, "{} bytes", answer.len());
            let answer: Value = serde_json::from_str(answer).unwrap();
            let told = answer["type"].as_str().unwrap();
            prop_assert!(["subscribed", "unsubscribed", "members", "error"].contains(&told), "{}", answer);
            Ok(())
        })?;
    }
}
