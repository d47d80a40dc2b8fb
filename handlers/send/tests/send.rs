//! The action `send`, against a DynamoDB engine and connections that misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use lambda_websocket::{
    Broadcaster, Channel, ChannelPermissions, Message, Principal,
    delivery::{
        continuations::Continuations,
        poster::{Policy, Poster},
    },
    protocol::{frame::MAX_BYTES, idempotency::IdempotencyKey},
};
use proptest::prelude::*;
use send::send;
use serde_json::{Value, json, value::RawValue};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::ConnectionTable,
    fixtures, hostile,
    queue::FakeQueue,
    simulation::{Call, Fate, Simulation},
};

struct Chat {
    table: ConnectionTable,
    connections: Connections,
    broadcaster: Broadcaster,
}

impl Chat {
    async fn with(ids: &[&str]) -> Self {
        let (table, connections) = (ConnectionTable::start().await, Connections::start().await);
        let policy = Policy { backoff: Duration::from_millis(1), ..Policy::default() };
        let poster = Poster::new(connections.client(), policy);
        let broadcaster = Broadcaster {
            registry: table.registry(),
            poster,
            continuations: None,
            notifier: None,
            history: None,
        };
        for id in ids {
            broadcaster.registry.add(&Channel::everyone(), &fixtures::connect(id).connection).await.unwrap();
        }
        Self { table, connections, broadcaster }
    }

    /// Puts a connection into a channel.
    async fn join(&self, channel: &str, id: &str) {
        let channel = Channel::parse(channel).unwrap();
        self.broadcaster.registry.add(&channel, &fixtures::connect(id).connection).await.unwrap();
    }

    /// The frame that the sender gets back.
    async fn say(&self, from: &str, body: &str) -> Value {
        self.answer(fixtures::message(from, body)).await
    }

    async fn answer(&self, event: Message) -> Value {
        let reply = send(&self.broadcaster, event).await.unwrap();
        let reply = serde_json::to_value(reply).unwrap();
        serde_json::from_str(reply["body"].as_str().unwrap()).unwrap()
    }

    fn heard_by(&self, id: &str) -> Vec<Value> {
        self.connections.delivered_to(id).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }
}

#[tokio::test]
async fn everyone_hears_who_said_what_and_the_sender_hears_how_many() {
    let chat = Chat::with(&["a=", "b=", "c="]).await;
    let ack = chat.say("a=", r#"{"action":"send","message":{"text":"hello"}}"#).await;
    let said = json!({
        "type": "message", "id": "BkQ5ad_qFiACIhw=", "channel": "*", "from": "a=",
        "message": {"text": "hello"}, "sentAt": 1_732_293_408_520_u64,
    });
    for id in ["a=", "b=", "c="] {
        assert_eq!(chat.heard_by(id), std::slice::from_ref(&said), "{id}");
    }
    assert_eq!(
        ack,
        json!({
            "type": "ack", "id": "BkQ5ad_qFiACIhw=", "requestId": "BkQ5aH5UliAFpOA=",
            "delivered": 3, "gone": 0, "failed": 0,
        })
    );
}

#[tokio::test]
async fn the_answer_carries_the_senders_reference_and_the_message_does_not() {
    let chat = Chat::with(&["a="]).await;
    let ack = chat.say("a=", r#"{"action":"send","message":{"ref":"mine"},"ref":"7"}"#).await;
    assert_eq!((&ack["type"], &ack["ref"]), (&json!("ack"), &json!("7")));
    let heard = chat.heard_by("a=");
    assert_eq!((heard[0].get("ref"), &heard[0]["message"]), (None, &json!({"ref": "mine"})));
    let error = chat.say("a=", r#"{"action":"send","mesage":1,"ref":"8"}"#).await;
    assert_eq!((&error["type"], &error["ref"]), (&json!("error"), &json!("8")));
    let ack = chat.say("a=", r#"{"action":"send","message":{"ref":"mine"}}"#).await;
    assert_eq!(ack.get("ref"), None, "of the message's fields, none is the request's");
}

#[tokio::test]
async fn without_echo_the_sender_is_left_out() {
    let chat = Chat::with(&["a=", "b="]).await;
    let ack = chat.say("a=", r#"{"action":"send","message":1,"echo":false}"#).await;
    assert_eq!(ack["delivered"], 1);
    assert_eq!((chat.heard_by("a=").len(), chat.heard_by("b=").len()), (0, 1));
}

#[tokio::test]
async fn a_channel_hears_what_is_sent_to_it_and_nobody_else() {
    let chat = Chat::with(&["a=", "b=", "c=", "outside="]).await;
    for id in ["a=", "b="] {
        chat.join("lobby", id).await;
    }
    for (from, echo, delivered) in [("a=", true, 2), ("a=", false, 1), ("outside=", true, 2)] {
        let body = json!({"action": "send", "channel": "lobby", "message": 1, "echo": echo});
        assert_eq!(chat.say(from, &body.to_string()).await["delivered"], delivered, "{from} {body}");
    }
    let heard = ["a=", "b=", "c=", "outside="].map(|id| chat.heard_by(id).len());
    assert_eq!(heard, [2, 3, 0, 0]);
    assert_eq!(chat.heard_by("b=")[0]["channel"], "lobby");

    let ack = chat.say("a=", r#"{"action":"send","channel":"nobody.is/here","message":1}"#).await;
    assert_eq!((&ack["type"], &ack["delivered"]), (&json!("ack"), &json!(0)));
}

#[tokio::test]
async fn a_user_is_reached_on_every_device_and_told_who_it_is_from() {
    let chat = Chat::with(&["phone=", "desktop=", "bob="]).await;
    for id in ["phone=", "desktop="] {
        chat.join("user:ada@example.com", id).await;
    }
    let body = r#"{"action":"send","channel":"user:ada@example.com","message":"hi"}"#;
    let mut event = fixtures::message("bob=", body);
    event.connection.principal = Some(Principal::parse("bob").unwrap());
    assert_eq!(chat.answer(event).await["delivered"], 2);
    for id in ["phone=", "desktop="] {
        let heard = chat.heard_by(id);
        assert_eq!((&heard[0]["principal"], &heard[0]["from"]), (&json!("bob"), &json!("bob=")));
        assert_eq!(heard[0]["channel"], "user:ada@example.com");
    }
    assert!(chat.heard_by("bob=").is_empty());
}

#[tokio::test]
async fn to_a_channel_that_the_authorizer_did_not_allow_nobody_sends() {
    let chat = Chat::with(&["a="]).await;
    for channel in ["lobby", "orders", "orders.eu", "user:ada"] {
        chat.join(channel, "a=").await;
    }
    for (patterns, allowed) in [
        ("", &[] as &[_]),
        ("orders.* lobby", &["lobby", "orders.eu"]),
        ("*", &["*"]),
        ("user:*", &["user:ada"]),
    ] {
        for channel in ["*", "lobby", "orders", "orders.eu", "user:ada"] {
            let body = json!({"action": "send", "channel": channel, "message": 1}).to_string();
            let mut event = fixtures::message("a=", &body);
            event.channels = ChannelPermissions::parse(patterns).unwrap();
            let answer = chat.answer(event).await;
            if allowed.contains(&channel) {
                assert_eq!(answer["delivered"], 1, "{patterns:?} {answer}");
            } else {
                assert_eq!(answer["code"], "forbidden", "{patterns:?} {channel} {answer}");
                let sentence = format!("You may not use the channel \"{channel}\".");
                assert_eq!(answer["message"], sentence);
            }
        }
    }
    assert_eq!(chat.heard_by("a=").len(), 4);
}

#[tokio::test]
async fn a_connection_that_is_gone_is_forgotten_and_no_other() {
    let chat = Chat::with(&["a=", "gone=", "limited="]).await;
    chat.connections.set("gone=", Answer::Refuse(410));
    chat.connections.set("limited=", Answer::Refuse(429));
    let ack = chat.say("a=", r#"{"action":"send","message":1}"#).await;
    assert_eq!((&ack["delivered"], &ack["gone"], &ack["failed"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!(chat.table.connection_ids().await, ["a=", "limited="]);
}

#[tokio::test]
async fn one_bad_connection_of_each_kind_never_stops_the_rest() {
    let bad = [400, 403, 410, 413, 429, 500].map(|status| (format!("c{status}="), Answer::Refuse(status)));
    let mut ids: Vec<&str> = bad.iter().map(|(id, _)| id.as_str()).collect();
    ids.extend(["a=", "slow="]);
    let chat = Chat::with(&ids).await;
    for (id, answer) in &bad {
        chat.connections.set(id, *answer);
    }
    chat.connections.set("slow=", Answer::DeliverAfter(Duration::from_millis(200)));
    let ack = chat.say("a=", r#"{"action":"send","message":1}"#).await;
    assert_eq!((&ack["delivered"], &ack["gone"], &ack["failed"]), (&json!(2), &json!(1), &json!(5)));
}

#[tokio::test]
async fn a_request_that_is_wrong_is_answered_and_goes_to_nobody() {
    let chat = Chat::with(&["a=", "b="]).await;
    for (body, code, says) in [
        ("", "invalid_json", "The message is not JSON. Send {"),
        ("hello", "invalid_json", "The message is not JSON. Send {"),
        (r#"{"action":"send","message":"#, "invalid_json", "The message is not JSON. Send {"),
        (r#"{"action":"send"}"#, "invalid_request", r#"The field "message" is missing. Send {"#),
        (r#"{"message":1}"#, "invalid_request", r#"The field "action" is missing. Send {"#),
        (
            r#"{"action":"send","message":1,"echo":"no"}"#,
            "invalid_request",
            r#"The field "echo" must be true or false. Send {"#,
        ),
        (
            r#"{"action":"send","message":1,"ecko":true}"#,
            "invalid_request",
            r#"The field "ecko" is unknown. Send {"#,
        ),
        (
            r#"{"action":"send","message":1,"channel":"a#0"}"#,
            "invalid_request",
            r#"The field "channel" must be "*", "user:" and a principal, or 1 to 128 of the characters "#,
        ),
        (
            r#"{"action":"send","message":1,"channel":null}"#,
            "invalid_request",
            r#"The field "channel" must be "#,
        ),
        (r#"["send"]"#, "invalid_request", "The message is not a JSON object. Send {"),
    ] {
        let answer = chat.say("a=", body).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!(code)), "{body}: {answer}");
        assert!(answer["message"].as_str().unwrap().starts_with(says), "{body}: {answer}");
    }
    assert!(chat.heard_by("a=").is_empty() && chat.heard_by("b=").is_empty());
}

#[tokio::test]
async fn what_every_parser_reads_is_passed_on_byte_for_byte_and_nothing_else_is() {
    let chat = Chat::with(&["a="]).await;
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    for message in [
        "12345678901234567890",
        "1.0",
        "-0",
        "1E+2",
        "1e-999",
        r#""\u0000""#,
        "\"\u{2028}\u{7f}\"",
        "[1 ,\n2]",
        &nested(63),
    ] {
        let ack = chat.say("a=", &format!(r#"{{"action":"send","message":{message}}}"#)).await;
        assert_eq!(ack["type"], "ack", "{ack}");
        let heard = chat.connections.delivered_to("a=").pop().unwrap();
        assert!(heard.contains(&format!(r#""message":{message},"#)), "{heard}");
    }
    let heard = chat.heard_by("a=").len();
    for (message, says) in [
        ("1e400", "The number 1e400 is too large: "),
        (r#""\ud800""#, "The message holds half of a surrogate pair "),
        (r#"{"a":1,"a":2}"#, r#"The name "a" comes twice in one object. "#),
        ("1,\"message\":2", r#"The name "message" comes twice in one object. "#),
        (&nested(64), "The message is nested more than 64 levels deep. "),
        (&nested(5_000), "The message is nested more than 64 levels deep. "),
    ] {
        let answer = chat.say("a=", &format!(r#"{{"action":"send","message":{message}}}"#)).await;
        assert_eq!(answer["code"], "invalid_json", "{answer}");
        assert!(answer["message"].as_str().unwrap().starts_with(says), "{answer}");
    }
    assert_eq!(chat.heard_by("a=").len(), heard);
}

#[tokio::test]
async fn what_fits_is_delivered_and_one_byte_more_is_refused() {
    let chat = Chat::with(&["a="]).await;
    let body = |length: usize| format!(r#"{{"action":"send","message":"{}"}}"#, "x".repeat(length));
    chat.say("a=", &body(0)).await;
    let envelope = chat.connections.delivered_to("a=")[0].len();

    // There is room for the number that a history would give it.
    let most = 128 * 1024 - format!(r#","seq":{}"#, u64::MAX).len();
    let ack = chat.say("a=", &body(most - envelope)).await;
    assert_eq!(ack["delivered"], 1, "{ack}");
    assert_eq!(chat.connections.delivered_to("a=")[1].len(), most);

    let answer = chat.say("a=", &body(most - envelope + 1)).await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&json!("error"), &json!("message_too_large")),
        "{answer}"
    );
    assert_eq!(chat.heard_by("a=").len(), 2);
}

#[tokio::test]
async fn an_answer_never_is_too_large_whatever_it_quotes() {
    let chat = Chat::with(&["a="]).await;
    let long = "\\u0000".repeat(20_000);
    for body in [
        format!(r#"{{"action":"send","message":1,"{long}":1}}"#),
        format!(r#"{{"action":"send","message":1,"echo":"{long}"}}"#),
    ] {
        let answer = chat.say("a=", &body).await;
        assert_eq!(answer["code"], "invalid_request");
        assert!(answer.to_string().len() < 1_000, "{} bytes", answer.to_string().len());
    }
}

#[tokio::test]
async fn where_there_is_a_queue_the_rest_goes_into_it_and_the_sender_hears_so() {
    let mut chat = Chat::with(&["a=", "b=", "c=", "d="]).await;
    let queue = FakeQueue::start().await;
    chat.broadcaster.continuations = Some(Continuations { queue: queue.queue(), after: 3, ranges: None });
    let ack = chat.say("a=", r#"{"action":"send","message":1}"#).await;
    assert_eq!((&ack["delivered"], &ack["queued"]), (&json!(3), &json!(true)), "{ack}");
    assert_eq!(queue.take().len(), 1);
}

#[tokio::test]
async fn what_is_sent_is_kept_as_it_is_heard_whoever_hears_it() {
    let mut chat = Chat::with(&["a="]).await;
    let history = chat.table.history(10).await;
    chat.broadcaster.history = Some(history.clone());
    for channel in ["*", "lobby", "user:ada"] {
        let body = json!({"action": "send", "channel": channel, "message": 1, "echo": false});
        assert_eq!(chat.say("a=", &body.to_string()).await["delivered"], 0);
    }
    chat.say("a=", r#"{"action":"send","message":1}"#).await;
    chat.say("a=", r#"{"action":"send"}"#).await;
    let kept = chat.table.messages().await;
    let names: Vec<_> = kept.iter().map(|(channel, seq, _)| (channel.as_str(), *seq)).collect();
    assert_eq!(names, [("*", 1), ("*", 2), ("lobby", 1), ("user:ada", 1)], "each message once, and no other");
    let heard = chat.connections.delivered_to("a=");
    assert_eq!(heard, [kept[1].2.clone()], "as it is kept");
    assert!(heard[0].ends_with(r#","sentAt":1732293408520,"seq":2}"#), "{}", heard[0]);
}

#[tokio::test]
async fn the_ack_tells_the_number_though_the_sender_is_left_out() {
    let mut chat = Chat::with(&["a=", "b="]).await;
    chat.broadcaster.history = Some(chat.table.history(10).await);
    for seq in 1..=2 {
        let ack = chat.say("a=", r#"{"action":"send","message":1,"echo":false}"#).await;
        assert_eq!((&ack["seq"], &ack["delivered"]), (&json!(seq), &json!(1)), "{ack}");
        assert_eq!(chat.heard_by("b=").last().unwrap()["seq"], seq);
    }
    chat.broadcaster.history = None;
    let ack = chat.say("a=", r#"{"action":"send","message":1}"#).await;
    assert_eq!((ack.get("seq"), chat.heard_by("a=")[0].get("seq")), (None, None), "no history, no number");
}

/// The same request of a principal, on another connection.
fn of_ada(connection: &str, body: &str) -> Message {
    let mut event = fixtures::message(connection, body);
    event.connection.principal = Some(Principal::parse("ada").unwrap());
    event.message_id = format!("message-{connection}");
    event.received_at = fixtures::now_millis();
    event
}

#[tokio::test]
async fn a_message_that_is_sent_again_is_one_message_and_the_answer_the_first_ones() {
    let mut chat = Chat::with(&["a=", "b="]).await;
    chat.broadcaster.history = Some(chat.table.history(10).await);
    let body = r#"{"action":"send","message":"once","id":"1"}"#;
    let first = chat.answer(of_ada("a=", body)).await;
    assert_eq!((&first["delivered"], first.get("duplicate")), (&json!(2), None), "{first}");
    // The answer was lost, and ada is back on another connection, later.
    let mut again = of_ada("b=", r#"{"action":"send","message":"twice","id":"1","ref":"7"}"#);
    again.received_at += 60_000;
    let second = chat.answer(again).await;
    assert_eq!((&second["id"], &second["delivered"]), (&first["id"], &json!(2)));
    assert_eq!((&second["duplicate"], &second["ref"]), (&json!(true), &json!("7")));
    let heard = chat.heard_by("b=");
    assert_eq!(heard.len(), 1);
    assert_eq!((&heard[0]["message"], &heard[0]["id"]), (&json!("once"), &first["id"]));

    for (whose, other) in [
        ("another id", of_ada("a=", r#"{"action":"send","message":1,"id":"2"}"#)),
        ("another channel", of_ada("a=", r#"{"action":"send","channel":"user:ada","message":1,"id":"1"}"#)),
        ("another sender", fixtures::message("a=", body)),
    ] {
        let ack = chat.answer(other).await;
        assert_eq!((ack["id"] == first["id"], ack.get("duplicate")), (false, None), "{whose}");
    }
}

/// What the first request does before it dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Died {
    Numbered,
    Claimed,
    Recorded,
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_first_request_died_is_sent_by_the_next() {
    for died in [Died::Numbered, Died::Claimed, Died::Recorded] {
        let simulation = Simulation::start();
        let history = simulation.history(10);
        let broadcaster = simulated(&simulation);
        let event = of_ada("a=", r#"{"action":"send","message":"once","id":"1"}"#);
        let (id, everyone) = ("1".to_owned().try_into().unwrap(), Channel::everyone());
        let key = IdempotencyKey::of_client(&event.connection, &everyone, &id);
        let seq = history.next_seq(&everyone).await.unwrap();
        let until = fixtures::now_millis() + 20_000;
        if died != Died::Numbered {
            assert_eq!(history.claim(&key, seq, None, until).await.unwrap(), None);
        }
        let first = r#"{"type":"message","message":"of the first","seq":1}"#;
        if died == Died::Recorded {
            history.record(&everyone, seq, key.as_str(), first).await.unwrap();
        }
        let start = tokio::time::Instant::now();
        let event = Message { deadline: start + Duration::from_secs(29), ..event };
        let reply = serde_json::to_value(send(&broadcaster, event).await.unwrap()).unwrap();
        let ack: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
        let waited = start.elapsed() > Duration::from_secs(15);
        assert_eq!(waited, died != Died::Numbered, "{died:?}: the first one may still be at work");
        let expected = if died == Died::Recorded { 1 } else { 2 };
        assert_eq!((&ack["seq"], ack.get("duplicate")), (&json!(expected), None), "{died:?}");
        let kept = history.after(&everyone, 0).await.unwrap().messages;
        assert_eq!(kept.len(), 1, "{died:?}");
        assert_eq!((kept[0].seq, kept[0].frame == first), (expected, died == Died::Recorded), "{died:?}");
        assert_eq!(history.record(&everyone, 1, "late", "late").await.unwrap(), None, "{died:?}");
    }
}

/// The web client sends again as soon as its connection is lost, while the first request is at work.
#[tokio::test(start_paused = true)]
async fn two_requests_at_once_are_one_message_and_have_one_answer() {
    let simulation = Simulation::start();
    simulation.open("a=");
    let broadcaster = simulated(&simulation);
    let body = r#"{"action":"send","channel":"user:ada","message":1,"id":"1"}"#;
    broadcaster
        .registry
        .add(&Channel::parse("user:ada").unwrap(), &of_ada("a=", body).connection)
        .await
        .unwrap();
    let ask = async |connection: &str| {
        let reply =
            serde_json::to_value(send(&broadcaster, of_ada(connection, body)).await.unwrap()).unwrap();
        serde_json::from_str::<Value>(reply["body"].as_str().unwrap()).unwrap()
    };
    let (first, second) = tokio::join!(ask("a="), ask("b="));
    assert_eq!((&first["delivered"], &second["delivered"]), (&json!(1), &json!(1)));
    assert_eq!((&first["seq"], &first["id"]), (&second["seq"], &second["id"]));
    let duplicates = [&first, &second].map(|ack| ack.get("duplicate").is_some());
    assert!(duplicates.contains(&true) && duplicates.contains(&false), "{first} {second}");
    assert_eq!(simulation.delivered(), 1, "posted once");
    // The number that the loser took is closed: nobody waits for it.
    let user = Channel::parse("user:ada").unwrap();
    let last = simulation.history(10).last_seq(&user).await.unwrap();
    for seq in (1..=last).filter(|seq| first["seq"] != *seq) {
        assert_eq!(simulation.history(10).record(&user, seq, "late", "late").await.unwrap(), None);
    }
}

fn simulated(simulation: &Simulation) -> Broadcaster {
    Broadcaster {
        registry: simulation.registry(1),
        poster: simulation.poster(),
        continuations: None,
        notifier: None,
        history: Some(simulation.history(10)),
    }
}

/// A table that hangs once the message is sent must not cost the answer.
#[tokio::test(start_paused = true)]
async fn a_claim_that_cannot_be_completed_in_time_delays_no_answer() {
    let simulation = Simulation::start();
    let mut writes = 0;
    simulation.decide(move |call| match call {
        Call::History("PutItem", _) if writes == 2 => Fate::Ignored,
        Call::History("PutItem", _) => {
            writes += 1; // The claim, and the message.
            Fate::Served(Duration::from_millis(10))
        }
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let broadcaster = simulated(&simulation);
    let mut event = fixtures::message("a=", r#"{"action":"send","message":1,"id":"1"}"#);
    event.deadline = tokio::time::Instant::now() + Duration::from_secs(4);
    let deadline = event.deadline;
    send(&broadcaster, event).await.unwrap();
    assert!(tokio::time::Instant::now() < deadline, "{:?} too late", tokio::time::Instant::now() - deadline);
}

#[tokio::test]
async fn without_a_history_the_same_id_makes_the_same_message_to_who_hears_it_twice() {
    let chat = Chat::with(&["a="]).await;
    for _ in 0..2 {
        chat.say("a=", r#"{"action":"send","message":1,"id":"1"}"#).await;
    }
    let heard = chat.heard_by("a=");
    assert_eq!((heard.len(), &heard[0]["id"]), (2, &heard[1]["id"]), "a client drops it by its id");
}

#[tokio::test]
async fn near_the_deadline_the_sender_hears_what_was_not_reached() {
    let chat = Chat::with(&["a=", "gone="]).await;
    chat.connections.set("gone=", Answer::Refuse(410));
    let mut event = fixtures::message("a=", r#"{"action":"send","message":1}"#);
    event.deadline = tokio::time::Instant::now() + Duration::from_millis(3_500);
    chat.connections.set("a=", Answer::Never);
    let reply = serde_json::to_value(send(&chat.broadcaster, event).await.unwrap()).unwrap();
    let ack: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
    assert_eq!((&ack["gone"], &ack["failed"]), (&json!(1), &json!(1)), "the deadline came: {ack}");
    assert_eq!(chat.table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn a_registry_that_cannot_be_read_is_our_fault() {
    let chat = Chat::with(&[]).await;
    chat.table.drop_table().await;
    let event = fixtures::message("a=", r#"{"action":"send","message":1}"#);
    let diagnostic = lambda_runtime::Diagnostic::from(send(&chat.broadcaster, event).await.unwrap_err());
    assert_eq!(diagnostic.error_type, "WebSocket.Registry");
}

proptest! {
    /// Whatever a client sends, it gets an answer, a short one where it is refused, and the function lives on.
    #[test]
    fn any_text_is_answered(body in prop_oneof![
        any::<String>(),
        hostile::object(&["action", "channel", "message", "echo", "id"]),
        hostile::near(r#"{"action":"send","channel":"lobby","message":{"text":"h\u00e9"},"echo":false}"#),
    ]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let simulation = Simulation::start();
            simulation.decide(|_| Fate::Served(Duration::ZERO));
            let broadcaster = Broadcaster {
                registry: simulation.registry(1),
                poster: simulation.poster(),
                continuations: None,
                notifier: None,
                history: None,
            };
            simulation.open("b=");
            broadcaster.registry.register(&fixtures::connect("b=").connection).await.unwrap();
            let reply = send(&broadcaster, fixtures::message("a=", &body)).await.unwrap();
            let reply = serde_json::to_value(reply).unwrap();
            let answer = reply["body"].as_str().unwrap();
            prop_assert!(answer.len() < 4_000, "{} bytes", answer.len());
            let answer: Value = serde_json::from_str(answer).unwrap();
            prop_assert!(["ack", "error"].map(Value::from).contains(&answer["type"]), "{}", answer);
            for delivery in simulation.deliveries() {
                prop_assert!(delivery.frame.len() <= MAX_BYTES);
                prop_assert!(serde_json::from_str::<&RawValue>(&delivery.frame).is_ok(), "{}", delivery.frame);
            }
            Ok(())
        })?;
    }
}
