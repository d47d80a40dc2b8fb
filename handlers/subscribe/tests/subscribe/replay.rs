//! What a client missed, told by the action `subscribe`: against a DynamoDB engine and a client that may misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
        timeout::TimeoutConfig,
    },
    error::BoxError,
    types::AttributeValue,
};
use lambda_websocket::{
    Broadcast, Broadcaster, Channel, Error, History, Message, Registry, aws,
    delivery::poster::{Policy, Poster},
};
use serde_json::{Value, json, value::to_raw_value};
use subscribe::{MaxSubscriptions, Replayer, Subscriptions, subscribe};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::{ConnectionTable, Row, remove},
    fixtures::{self, now_millis},
};
use tokio::{runtime, time::Instant};

struct Chat {
    table: ConnectionTable,
    connections: Connections,
    history: History,
    subscriptions: Subscriptions,
}

impl Chat {
    /// A chat that replays so many messages at most.
    async fn start(most: u16) -> Self {
        let (table, connections) = (ConnectionTable::start().await, Connections::start().await);
        let history = table.history(most).await;
        let (backoff, patience) = (Duration::from_millis(1), Duration::from_millis(50));
        let policy = Policy { backoff, patience, ..Policy::default() };
        let replayer =
            Replayer { history: history.clone(), poster: Poster::new(connections.client(), policy) };
        let subscriptions = Subscriptions {
            registry: table.registry(),
            max: MaxSubscriptions::default(),
            notifier: None,
            replayer: Some(replayer),
        };
        Self { table, connections, history, subscriptions }
    }

    /// Records what was sent to the lobby.
    async fn was_sent(&self, frames: &[&str]) {
        for frame in frames {
            let seq = self.history.next_seq(&lobby()).await.unwrap();
            self.history.record(&lobby(), seq, "id", frame).await.unwrap();
        }
    }

    async fn subscribe(&self, since: u64) -> Value {
        self.answer(subscription(since)).await
    }

    async fn subscribe_after(&self, seq: u64) -> Value {
        let body = json!({"action": "subscribe", "channel": "lobby", "after": seq});
        self.answer(fixtures::message("a=", &body.to_string())).await
    }

    /// The frame that the client gets back.
    async fn answer(&self, event: Message) -> Value {
        let response = subscribe(&self.subscriptions, event).await.unwrap();
        let response = serde_json::to_value(response).unwrap();
        serde_json::from_str(response["body"].as_str().unwrap()).unwrap()
    }

    /// The hash key of each row of the connection table, in order.
    async fn channels(&self) -> Vec<String> {
        let rows = self.table.rows().await;
        let mut channels: Vec<_> = rows.iter().map(|row| row["channel"].as_s().unwrap().clone()).collect();
        channels.sort();
        channels
    }

    fn heard(&self) -> Vec<String> {
        self.connections.delivered_to("a=")
    }
}

fn lobby() -> Channel {
    Channel::parse("lobby").unwrap()
}

/// The client `a=`, back again.
fn subscription(since: u64) -> Message {
    fixtures::message("a=", &json!({"action": "subscribe", "channel": "lobby", "since": since}).to_string())
}

/// The row of a replay to `a=` whose function died.
fn expired_replay() -> Row {
    [
        ("channel", AttributeValue::S("replay:a=".to_owned())),
        ("connectionId", AttributeValue::S("a=".to_owned())),
        ("requestId", AttributeValue::S("died".to_owned())),
        ("expiresAt", AttributeValue::N((now_millis() / 1_000 - 1).to_string())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The answer to who has all that it asked for, up to this number.
fn subscribed(seq: u64, replayed: usize) -> Value {
    let request_id = "BkQ5aH5UliAFpOA=";
    json!({"type": "subscribed", "channel": "lobby", "connectionId": "a=", "requestId": request_id, "seq": seq, "replayed": replayed, "complete": true})
}

/// The answer to who has not: for these reasons.
fn incomplete(seq: u64, replayed: usize, reasons: &[&str]) -> Value {
    let mut answer = subscribed(seq, replayed);
    answer["complete"] = json!(false);
    for reason in reasons {
        answer[reason] = json!(true);
    }
    answer
}

#[tokio::test]
async fn who_comes_back_hears_what_it_missed_in_order_and_then_how_many() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    assert_eq!(chat.subscribe(now).await, subscribed(0, 0));
    let sent: Vec<_> = (0..50).map(|n| format!("message {n}")).collect();
    let frames: Vec<_> = sent.iter().map(String::as_str).collect();
    chat.was_sent(&frames).await;
    // The first posts are slow and refused: the next ones wait for them.
    chat.connections.set("a=", Answer::RefuseFirst(500, 2));
    assert_eq!(chat.subscribe(now).await, subscribed(50, 50));
    assert_eq!(chat.heard(), sent);
    assert_eq!(chat.table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn who_does_not_ask_hears_only_where_the_live_messages_begin() {
    let chat = Chat::start(100).await;
    let plain = || fixtures::message("a=", r#"{"action":"subscribe","channel":"lobby"}"#);
    for seq in 0..2 {
        let answer = chat.answer(plain()).await;
        assert_eq!(
            answer,
            json!({"type": "subscribed", "channel": "lobby", "connectionId": "a=", "requestId": "BkQ5aH5UliAFpOA=", "seq": seq})
        );
        chat.was_sent(&["1"]).await;
    }
    assert!(chat.heard().is_empty());
}

#[tokio::test]
async fn who_tells_its_last_number_hears_what_comes_after_it_page_by_page() {
    let chat = Chat::start(2).await;
    chat.was_sent(&["1", "2", "3", "4", "5"]).await;
    assert_eq!(chat.subscribe_after(1).await, incomplete(3, 2, &["more"]));
    assert_eq!(chat.subscribe_after(3).await, subscribed(5, 2));
    assert_eq!(chat.subscribe_after(5).await, subscribed(5, 0));
    assert_eq!(chat.heard(), ["2", "3", "4", "5"]);
    assert_eq!(
        chat.subscribe_after(9).await,
        incomplete(0, 0, &["missing"]),
        "of another time of this channel, all of which is to be asked for"
    );
}

#[tokio::test]
async fn a_request_has_one_beginning() {
    let chat = Chat::start(2).await;
    for body in [
        r#"{"action":"subscribe","channel":"lobby","after":1,"since":1}"#,
        r#"{"action":"subscribe","channel":"lobby","after":-1}"#,
        r#"{"action":"subscribe","channel":"lobby","after":"1"}"#,
    ] {
        let answer = chat.answer(fixtures::message("a=", body)).await;
        assert_eq!(answer["code"], "invalid_request", "{body}");
    }
    assert!(chat.table.rows().await.is_empty());
}

#[tokio::test]
async fn who_missed_more_than_is_kept_hears_so() {
    let chat = Chat::start(2).await;
    let now = now_millis();
    chat.was_sent(&["1", "2", "3"]).await;
    assert_eq!(chat.subscribe(now).await, incomplete(3, 2, &["missing"]));
    assert_eq!(chat.heard(), ["2", "3"]);
    assert_eq!(chat.subscribe(0).await, incomplete(3, 2, &["missing"]));
}

#[tokio::test]
async fn where_nothing_is_kept_the_client_hears_so() {
    let mut chat = Chat::start(100).await;
    chat.subscriptions.replayer = None;
    let mut expected = incomplete(0, 0, &["missing"]);
    expected.as_object_mut().unwrap().remove("seq");
    assert_eq!(chat.subscribe(now_millis()).await, expected);
    assert_eq!(chat.subscribe_after(7).await, expected);
    assert_eq!(chat.table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn everyones_and_the_users_own_are_replayed_whatever_the_patterns_say() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    let mut event = subscription(now);
    event.connection.principal = Some("ada".to_owned().try_into().unwrap());
    event.channels = lambda_websocket::ChannelPermissions::parse("").unwrap();
    for channel in ["*", "user:ada", "user:eve", "lobby"] {
        let to = Channel::parse(channel).unwrap();
        let seq = chat.history.next_seq(&to).await.unwrap();
        chat.history.record(&to, seq, "id", channel).await.unwrap();
        event.body = json!({"action": "subscribe", "channel": channel, "since": now}).to_string();
        let answer = chat.answer(event.clone()).await;
        if ["*", "user:ada"].contains(&channel) {
            assert_eq!((&answer["replayed"], &answer["complete"]), (&json!(1), &json!(true)), "{answer}");
        } else {
            assert_eq!(answer["code"], "forbidden", "{answer}");
        }
    }
    assert_eq!(chat.heard(), ["*", "user:ada"]);
}

#[tokio::test]
async fn a_replay_ends_with_the_first_message_that_does_not_arrive() {
    for (status, attempts) in [(400, Some(1)), (410, Some(1)), (429, None), (500, Some(3))] {
        let chat = Chat::start(100).await;
        let now = now_millis();
        chat.was_sent(&["1", "2", "3"]).await;
        chat.connections.set("a=", Answer::Refuse(status));
        assert_eq!(chat.subscribe(now).await, incomplete(0, 0, &["more"]), "{status}");
        // 429 is tried for as long as patience lasts.
        let attempts = attempts.unwrap_or_else(|| chat.connections.posts_to("a="));
        assert_eq!(chat.connections.posts_to("a="), attempts, "the others are not tried: {status}");
    }
}

#[tokio::test]
async fn at_the_deadline_the_client_hears_how_far_it_went() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    chat.was_sent(&["1", "2", "3"]).await;
    chat.connections.set("a=", Answer::Never);
    let deadline = Instant::now() + Duration::from_secs(2);
    let answer = chat.answer(Message { deadline, ..subscription(now) }).await;
    assert_eq!(answer, incomplete(0, 0, &["more"]));
}

#[tokio::test]
async fn a_history_that_is_away_is_our_fault() {
    let chat = Chat::start(100).await;
    chat.table.drop_history().await;
    let error = subscribe(&chat.subscriptions, subscription(0)).await.unwrap_err();
    assert_eq!(error.error_type(), "WebSocket.History");
}

#[tokio::test]
async fn a_connection_has_one_replay_under_way() {
    let chat = Arc::new(Chat::start(100).await);
    let now = now_millis();
    chat.was_sent(&["1", "2"]).await;
    chat.connections.set("a=", Answer::Never);
    let deadline = Instant::now() + Duration::from_secs(3);
    let first = Message { deadline, request_id: "first".to_owned(), ..subscription(now) };
    let first = tokio::spawn({
        let chat = Arc::clone(&chat);
        async move { chat.answer(first).await }
    });
    while chat.connections.posts_to("a=") == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut second = subscription(now);
    second.body = second.body.replace("lobby", "hall");
    let answer = chat.answer(second).await;
    assert_eq!(
        (&answer["type"], &answer["code"]),
        (&json!("error"), &json!("too_many_requests")),
        "{answer}"
    );
    let sentence = "Another replay to this connection is under way: ask again when it has ended.";
    assert_eq!(answer["message"], sentence);
    assert_eq!(chat.channels().await, ["lobby#0", "replay:a="], "what is refused changes nothing");

    // Without a replay, or by another connection, anybody subscribes meanwhile.
    let plain = chat.answer(fixtures::message("a=", r#"{"action":"subscribe","channel":"hall"}"#)).await;
    assert_eq!(plain["type"], "subscribed", "{plain}");
    let mut other = fixtures::message("b=", &subscription(now).body);
    other.request_id = "other".to_owned();
    assert_eq!(chat.answer(other).await["replayed"], 2);

    assert_eq!(first.await.unwrap()["type"], "subscribed");
    assert_eq!(chat.channels().await, ["hall#0", "lobby#0", "lobby#0"], "it has ended");
    chat.connections.set("a=", Answer::Deliver);
    assert_eq!(chat.subscribe(now).await, subscribed(2, 2));
}

#[tokio::test]
async fn a_replay_that_failed_or_never_ended_does_not_keep_the_next_one_off_for_long() {
    let chat = Chat::start(100).await;
    let (id, now) = (subscription(0).connection.id, now_millis());
    let registry = &chat.subscriptions.registry;
    assert!(registry.begin_replay(&id, "died", 30).await.unwrap());
    assert!(registry.begin_replay(&id, "died", 30).await.unwrap(), "who asks again may not have heard");
    assert!(!registry.begin_replay(&id, "next", 30).await.unwrap());
    registry.end_replay(&id, "next").await.unwrap();
    assert!(!registry.begin_replay(&id, "next", 30).await.unwrap(), "only its own ends");
    chat.table.put(expired_replay()).await;
    assert_eq!(chat.subscribe(now).await, subscribed(0, 0));

    chat.table.drop_history().await;
    for _ in 0..2 {
        subscribe(&chat.subscriptions, subscription(now)).await.unwrap_err();
    }
    assert_eq!(chat.channels().await, ["lobby#0"]);
}

#[tokio::test]
async fn a_replays_row_is_nobodys_membership_and_goes_with_the_connection() {
    let chat = Chat::start(100).await;
    let connection = subscription(0).connection;
    let registry = &chat.subscriptions.registry;
    assert!(registry.begin_replay(&connection.id, "died", 30).await.unwrap());
    let mut subscriptions = chat.subscriptions.clone();
    subscriptions.max = "1".parse().unwrap();
    let plain = fixtures::message("a=", r#"{"action":"subscribe","channel":"replay"}"#);
    let response = subscribe(&subscriptions, plain).await.unwrap();
    assert!(
        serde_json::to_string(&response).unwrap().contains("subscribed"),
        "it does not count: {response:?}"
    );
    let list = chat.answer(fixtures::message("a=", r#"{"action":"list","channel":"replay:a"}"#)).await;
    assert_eq!(list["members"], json!([]));
    let departures = remove(registry, &connection).await.unwrap();
    let left: Vec<_> = departures.iter().map(|departure| departure.channel.as_str()).collect();
    assert_eq!(left, ["replay"], "nobody is told that it left the others");
    assert!(chat.table.rows().await.is_empty());
}

/// Whatever the order of their calls, who subscribes while another sends hears the message: live, or replayed, or both.
///
/// One side takes a number, records the message, and reads who is there. The other begins its replay, reads its
/// subscriptions, writes one, reads what was sent, closes the number that it does not find, and ends its replay. Each call
/// waits until its turn comes; every order of these turns is tried.
#[tokio::test]
async fn a_list_tells_the_number_of_the_last_change_that_it_has() {
    let chat = Chat::start(10).await;
    chat.was_sent(&["1", "2"]).await;
    for id in ["a=", "b="] {
        chat.subscriptions.registry.add(&lobby(), &fixtures::connect(id).connection).await.unwrap();
    }
    let list = async |more: &str| {
        let body = format!(r#"{{"action":"list","channel":"lobby","limit":1{more}}}"#);
        chat.answer(fixtures::message("a=", &body)).await
    };
    let first = list("").await;
    assert_eq!(first["seq"], 2);
    let second = list(&format!(r#","after":{}"#, first["next"])).await;
    assert_eq!((second["members"].as_array().map(Vec::len), second.get("seq")), (Some(1), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_falls_between_the_replay_and_what_is_heard_live() {
    let mut ways = BTreeSet::new();
    for order in orders(3, 7) {
        let chat = Chat::start(100).await;
        let [sender, subscriber] = {
            let send = Side::begin(&chat, async |table, history, connections| {
                let poster = Poster::new(connections.client(), Policy::default());
                let history = Some(history);
                let broadcaster =
                    Broadcaster { registry: table, poster, continuations: None, notifier: None, history };
                let said = to_raw_value(&json!({"text": "said"})).unwrap();
                let said = Broadcast::new("id", lobby(), said).unwrap().kept().unwrap();
                broadcaster.send(&said, Instant::now() + Duration::from_secs(29)).await?;
                Ok(())
            });
            let subscribe = Side::begin(&chat, async |registry, history, connections| {
                let poster = Poster::new(connections.client(), Policy::default());
                let replayer = Some(Replayer { history, poster });
                let max = MaxSubscriptions::default();
                let subscriptions = Subscriptions { registry, max, notifier: None, replayer };
                let body = json!({"action": "subscribe", "channel": "lobby", "after": 0});
                subscribe(&subscriptions, fixtures::message("a=", &body.to_string())).await.map(drop)
            });
            [send, subscribe]
        };
        let order_said = format!("{order:?}");
        tokio::task::spawn_blocking(move || {
            for sends in order {
                if sends { sender.next() } else { subscriber.next() }
            }
            subscriber.ends();
            sender.ends();
        })
        .await
        .unwrap();
        let heard = chat.heard();
        let [(_, seq, kept)] = &chat.table.messages().await[..] else { panic!("kept once: {order_said}") };
        assert!(!heard.is_empty() && heard.iter().all(|frame| frame == kept), "lost where {order_said}");
        ways.insert((heard.len(), *seq));
    }
    assert_eq!(
        ways,
        BTreeSet::from([(1, 1), (2, 1)]),
        "once or by both ways, and the reader takes no number away that is under way"
    );
}

/// Every order of so many turns of the one and so many of the other.
fn orders(ones: usize, others: usize) -> Vec<Vec<bool>> {
    if ones == 0 || others == 0 {
        return vec![[vec![true; ones], vec![false; others]].concat()];
    }
    let with =
        |first: bool, rest: Vec<Vec<bool>>| rest.into_iter().map(move |rest| [vec![first], rest].concat());
    with(true, orders(ones - 1, others)).chain(with(false, orders(ones, others - 1))).collect()
}

/// One who calls DynamoDB, on a thread of its own, and waits before each call for its turn.
struct Side {
    /// Gives it a turn.
    turn: mpsc::Sender<()>,
    /// Says that it waits for the next one, or that it has ended.
    waits: mpsc::Receiver<bool>,
    is_waiting: Cell<bool>,
    thread: thread::JoinHandle<Result<(), Error>>,
}

impl Side {
    fn begin<F>(chat: &Chat, work: F) -> Self
    where
        F: AsyncFnOnce(Registry, History, Connections) -> Result<(), Error> + Send + 'static,
    {
        let ((turn, turns), (wait, waits)) = (mpsc::channel(), mpsc::channel());
        let (table, connections) = (chat.table.clone(), chat.connections.clone());
        let thread = thread::spawn(move || {
            let turns = Turns { wait: wait.clone(), turns: turns.into() };
            // A turn comes when it comes; and a pooled HTTP connection ends with the runtime that it began in.
            let config = table.client.config().to_builder().interceptor(turns);
            let config =
                config.timeout_config(TimeoutConfig::disabled()).http_client(aws::http_client()).build();
            let client = Client::from_conf(config);
            let registry = Registry::new(client.clone(), ConnectionTable::NAME, "1".parse().unwrap());
            let history = testkit::dynamodb::history(client, testkit::dynamodb::A_DAY, 100);
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let done = runtime.block_on(work(registry, history, connections));
            wait.send(false).unwrap();
            done
        });
        let is_waiting = waits.recv().unwrap().into();
        Self { turn, waits, is_waiting, thread }
    }

    /// Lets it make its next call, if it makes another, and waits until it is before the next, or at the end.
    fn next(&self) {
        if !self.is_waiting.get() {
            return;
        }
        self.turn.send(()).unwrap();
        self.is_waiting.set(self.waits.recv().unwrap());
    }

    fn ends(self) {
        while self.is_waiting.get() {
            self.next();
        }
        self.thread.join().unwrap().unwrap();
    }
}

#[derive(Debug)]
struct Turns {
    wait: mpsc::Sender<bool>,
    turns: std::sync::Mutex<mpsc::Receiver<()>>,
}

impl Intercept for Turns {
    fn name(&self) -> &'static str {
        "turns"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.wait.send(true)?;
        Ok(self.turns.lock().unwrap().recv()?)
    }
}
