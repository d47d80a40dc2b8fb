//! What a client missed, told by the action `subscribe`: against a DynamoDB engine and a client that may misbehave.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{cell::Cell, collections::BTreeSet, sync::mpsc, thread, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextRef,
        timeout::TimeoutConfig,
    },
    error::BoxError,
};
use lambda_websocket::{
    aws,
    broadcast::{Broadcast, Broadcaster},
    channel::Channel,
    error::Error,
    event::Message,
    fanout::{Fanout, Policy},
    history::History,
    registry::Registry,
};
use serde_json::{Value, json, value::to_raw_value};
use subscribe::{MaxSubscriptions, Replayer, Subscriptions, subscribe};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::ConnectionTable,
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
            Replayer { history: history.clone(), fanout: Fanout::new(connections.client(), policy) };
        let subscriptions = Subscriptions {
            registry: table.registry(),
            max: MaxSubscriptions::default(),
            announcer: None,
            replayer: Some(replayer),
        };
        Self { table, connections, history, subscriptions }
    }

    /// Writes down what was sent to the lobby, from the time on, a millisecond after the other.
    async fn was_sent(&self, from: u64, frames: &[&str]) {
        for (sent_at, frame) in (from..).zip(frames) {
            self.history.record(&lobby(), sent_at, "id", frame).await.unwrap();
        }
    }

    async fn subscribe(&self, since: u64) -> Value {
        self.answer(subscription(since)).await
    }

    /// The frame that the client gets back.
    async fn answer(&self, event: Message) -> Value {
        let reply = subscribe(&self.subscriptions, event).await.unwrap();
        let reply = serde_json::to_value(reply).unwrap();
        serde_json::from_str(reply["body"].as_str().unwrap()).unwrap()
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

fn subscribed(replayed: usize, complete: bool) -> Value {
    let request_id = "BkQ5aH5UliAFpOA=";
    json!({"type": "subscribed", "channel": "lobby", "requestId": request_id, "replayed": replayed, "complete": complete})
}

#[tokio::test]
async fn who_comes_back_hears_what_it_missed_in_order_and_then_how_many() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    assert_eq!(chat.subscribe(now).await, subscribed(0, true));
    let sent: Vec<_> = (0..50).map(|n| format!("message {n}")).collect();
    let frames: Vec<_> = sent.iter().map(String::as_str).collect();
    chat.was_sent(now, &frames).await;
    // The first posts are slow and refused: the next ones wait for them.
    chat.connections.set("a=", Answer::RefuseFirst(500, 2));
    assert_eq!(chat.subscribe(now).await, subscribed(50, true));
    assert_eq!(chat.heard(), sent);
    assert_eq!(chat.table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn who_does_not_ask_is_told_nothing() {
    let chat = Chat::start(100).await;
    chat.was_sent(now_millis(), &["1"]).await;
    let answer = chat.answer(fixtures::message("a=", r#"{"action":"subscribe","channel":"lobby"}"#)).await;
    assert_eq!(answer, json!({"type": "subscribed", "channel": "lobby", "requestId": "BkQ5aH5UliAFpOA="}));
    assert!(chat.heard().is_empty());
}

#[tokio::test]
async fn who_missed_more_than_is_kept_hears_so() {
    let chat = Chat::start(2).await;
    let now = now_millis();
    chat.was_sent(now, &["1", "2", "3"]).await;
    assert_eq!(chat.subscribe(now).await, subscribed(2, false));
    assert_eq!(chat.heard(), ["2", "3"]);
    assert_eq!(chat.subscribe(0).await, subscribed(2, false));
}

#[tokio::test]
async fn where_nothing_is_kept_the_client_hears_so() {
    let mut chat = Chat::start(100).await;
    chat.subscriptions.replayer = None;
    assert_eq!(chat.subscribe(now_millis()).await, subscribed(0, false));
    assert_eq!(chat.table.connection_ids().await, ["a="]);
}

#[tokio::test]
async fn everyones_and_the_users_own_are_replayed_whatever_the_patterns_say() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    let mut event = subscription(now);
    event.connection.principal = Some("ada".to_owned().try_into().unwrap());
    event.channels = lambda_websocket::patterns::ChannelPatterns::parse("").unwrap();
    for channel in ["*", "user:ada", "user:eve", "lobby"] {
        chat.history.record(&Channel::parse(channel).unwrap(), now, "id", channel).await.unwrap();
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
        chat.was_sent(now, &["1", "2", "3"]).await;
        chat.connections.set("a=", Answer::Refuse(status));
        assert_eq!(chat.subscribe(now).await, subscribed(0, false), "{status}");
        // 429 is tried for as long as patience lasts.
        let attempts = attempts.unwrap_or_else(|| chat.connections.posts_to("a="));
        assert_eq!(chat.connections.posts_to("a="), attempts, "the others are not tried: {status}");
    }
}

#[tokio::test]
async fn at_the_deadline_the_client_hears_how_far_it_went() {
    let chat = Chat::start(100).await;
    let now = now_millis();
    chat.was_sent(now, &["1", "2", "3"]).await;
    chat.connections.set("a=", Answer::Never);
    let deadline = Instant::now() + Duration::from_secs(2);
    let answer = chat.answer(Message { deadline, ..subscription(now) }).await;
    assert_eq!(answer, subscribed(0, false));
}

#[tokio::test]
async fn a_history_that_is_away_is_our_fault() {
    let chat = Chat::start(100).await;
    chat.table.drop_history().await;
    let error = subscribe(&chat.subscriptions, subscription(0)).await.unwrap_err();
    assert_eq!(error.error_type(), "WebSocket.History");
}

/// Whatever the order of their calls, who subscribes while another sends hears the message: live, or replayed, or both.
///
/// One side writes the message down, and reads who is there. The other reads its subscriptions, writes one, and reads
/// what was sent. Each call waits until its turn comes; every order of these turns is tried.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_falls_between_the_replay_and_what_is_heard_live() {
    let mut ways = BTreeSet::new();
    for order in orders(2, 3) {
        let chat = Chat::start(100).await;
        let [sender, subscriber] = {
            let send = Side::begin(&chat, async |table, history, connections| {
                let fanout = Fanout::new(connections.client(), Policy::default());
                let history = Some(history);
                let broadcaster =
                    Broadcaster { registry: table, fanout, handover: None, announcer: None, history };
                let said = to_raw_value("said").unwrap();
                let said = Broadcast::new("id", lobby(), said).unwrap().kept(now_millis());
                broadcaster.send(&said, Instant::now() + Duration::from_secs(29)).await.map(drop)
            });
            let subscribe = Side::begin(&chat, async |registry, history, connections| {
                let fanout = Fanout::new(connections.client(), Policy::default());
                let replayer = Some(Replayer { history, fanout });
                let max = MaxSubscriptions::default();
                let subscriptions = Subscriptions { registry, max, announcer: None, replayer };
                subscribe(&subscriptions, subscription(now_millis())).await.map(drop)
            });
            [send, subscribe]
        };
        let order_said = format!("{order:?}");
        tokio::task::spawn_blocking(move || {
            for sends in order {
                if sends { sender.next() } else { subscriber.next() }
            }
            sender.ends();
            subscriber.ends();
        })
        .await
        .unwrap();
        let heard = chat.heard();
        assert!(!heard.is_empty() && heard.iter().all(|text| text == r#""said""#), "lost where {order_said}");
        ways.insert(heard.len());
    }
    assert_eq!(ways, BTreeSet::from([1, 2]), "once, or by both ways");
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
            let history = testkit::dynamodb::history(client, 100);
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let done = runtime.block_on(work(registry, history, connections));
            wait.send(false).unwrap();
            done
        });
        let is_waiting = waits.recv().unwrap().into();
        Self { turn, waits, is_waiting, thread }
    }

    /// Lets it make its next call, and waits until it is before another, or at the end.
    fn next(&self) {
        assert!(self.is_waiting.get(), "it makes fewer calls than it is given turns");
        self.turn.send(()).unwrap();
        self.is_waiting.set(self.waits.recv().unwrap());
    }

    fn ends(self) {
        assert!(
            !self.is_waiting.get(),
            "it makes more calls than it is given turns: {:?}",
            self.thread.thread().id()
        );
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
