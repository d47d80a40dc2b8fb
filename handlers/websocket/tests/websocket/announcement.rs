//! Who joins and leaves, told to the channel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use futures::{StreamExt, future::join_all};
use lambda_websocket::{
    announcement::Announcer,
    broadcast::{Broadcast, Broadcaster},
    channel::Channel,
    connection::Connection,
    fanout::{Fanout, Policy},
    patterns::ChannelPatterns,
    principal::Principal,
    registry::{Registry, Subscription},
};
use serde_json::{Value, json, value::to_raw_value};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::ConnectionTable,
    fixtures,
    queue::FakeQueue,
};
use tokio::time::Instant;

struct World {
    connections: Connections,
    queue: FakeQueue,
    announcer: Announcer,
}

impl World {
    async fn start() -> Self {
        let (table, connections, queue) =
            (ConnectionTable::start().await, Connections::start().await, FakeQueue::start().await);
        let announcer = Announcer {
            registry: table.sharded_registry(3),
            queue: queue.queue(),
            channels: ChannelPatterns::parse("lobby room.* * user:*").unwrap(),
        };
        Self { connections, queue, announcer }
    }

    fn registry(&self) -> &Registry {
        &self.announcer.registry
    }

    async fn connect(&self, id: &str, principal: Option<&str>) -> Connection {
        let principal = principal.map(|text| Principal::parse(text).unwrap());
        let connection = Connection { principal, ..fixtures::connect(id).connection };
        self.registry().register(&connection).await.unwrap();
        connection
    }

    async fn subscribe(&self, channel: &str, connection: &Connection) -> Subscription {
        self.announcer.subscribe(&Channel::parse(channel).unwrap(), connection, 50).await.unwrap()
    }

    async fn unsubscribe(&self, channel: &str, connection: &Connection) {
        let channel = Channel::parse(channel).unwrap();
        for departure in self.registry().unsubscribe(&channel, &connection.id).await.unwrap() {
            self.announcer.left(&departure).await;
        }
    }

    async fn disconnect(&self, connection: &Connection) {
        for departure in self.registry().remove(connection).await.unwrap() {
            self.announcer.left(&departure).await;
        }
    }

    fn broadcaster(&self) -> Broadcaster {
        Broadcaster {
            registry: self.registry().clone(),
            fanout: Fanout::new(self.connections.client(), Policy::default()),
            handover: None,
            announcer: Some(self.announcer.clone()),
            history: None,
        }
    }

    /// Delivers what was announced, and gives the frames, without their times.
    async fn announced(&self) -> Vec<Value> {
        let mut frames = vec![];
        for sent in self.queue.take() {
            let broadcast = Broadcast::parse(&sent.body, "", 0).unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            self.broadcaster().send(&broadcast, deadline).await.unwrap();
            let mut frame = serde_json::from_str::<Value>(&sent.body).unwrap()["remainder"]["frame"].take();
            assert!(frame.as_object_mut().unwrap().remove("at").unwrap().is_u64());
            frames.push(frame);
        }
        frames
    }

    fn heard_by(&self, id: &str) -> usize {
        self.connections.delivered_to(id).len()
    }
}

fn about(kind: &str, id: &str, principal: &str) -> Value {
    json!({"type": kind, "channel": "lobby", "connectionId": id, "principal": principal})
}

#[tokio::test]
async fn a_user_joins_with_the_first_device_and_leaves_with_the_last() {
    let world = World::start().await;
    let bob = world.connect("bob=", Some("bob")).await;
    let (phone, desktop) =
        (world.connect("phone=", Some("ada")).await, world.connect("desktop=", Some("ada")).await);
    world.subscribe("lobby", &bob).await;
    assert_eq!(world.announced().await, [about("joined", "bob=", "bob")]);
    assert_eq!(world.heard_by("bob="), 0, "who joins knows it");

    world.subscribe("lobby", &phone).await;
    assert_eq!(world.announced().await, [about("joined", "phone=", "ada")]);
    world.subscribe("lobby", &desktop).await;
    assert_eq!(world.subscribe("lobby", &phone).await, Subscription::Kept);
    world.disconnect(&phone).await;
    assert!(world.announced().await.is_empty(), "she is there all the while");
    world.unsubscribe("lobby", &desktop).await;
    assert_eq!(world.announced().await, [about("left", "desktop=", "ada")]);
    world.disconnect(&desktop).await;
    assert!(world.announced().await.is_empty());
    assert_eq!(world.heard_by("bob="), 2);
}

#[tokio::test]
async fn who_has_no_name_joins_and_leaves_with_each_connection() {
    let world = World::start().await;
    for (id, others) in [("a=", 0), ("b=", 1)] {
        let connection = world.connect(id, None).await;
        world.subscribe("lobby", &connection).await;
        assert_eq!(
            world.announced().await,
            [json!({"type": "joined", "channel": "lobby", "connectionId": id})],
            "{others}"
        );
    }
    assert_eq!((world.heard_by("a="), world.heard_by("b=")), (1, 0));
}

#[tokio::test]
async fn a_leave_is_told_once_however_often_the_end_is() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.subscribe("room.1", &ada).await;
    world.announced().await;
    join_all([world.disconnect(&ada), world.disconnect(&ada)]).await;
    let mut channels: Vec<_> =
        world.announced().await.iter().map(|frame| frame["channel"].to_string()).collect();
    channels.sort();
    assert_eq!(channels, ["\"lobby\"", "\"room.1\""]);
}

#[tokio::test]
async fn who_is_found_gone_has_left_all_channels() {
    let world = World::start().await;
    let bob = world.connect("b=", None).await;
    let ada = world.connect("a=", Some("ada")).await;
    for channel in ["lobby", "room.1", "quiet"] {
        world.subscribe(channel, &ada).await;
        world.subscribe(channel, &bob).await;
    }
    world.announced().await;
    world.connections.set("a=", Answer::Refuse(410));
    let message = Broadcast::new("m", Channel::everyone(), to_raw_value("hello").unwrap()).unwrap();
    world.broadcaster().send(&message, Instant::now() + Duration::from_secs(60)).await.unwrap();
    let mut told: Vec<_> = world
        .announced()
        .await
        .iter()
        .map(|frame| format!("{} {} {}", frame["type"], frame["channel"], frame["connectionId"]))
        .collect();
    told.sort();
    assert_eq!(told, [r#""left" "lobby" "a=""#, r#""left" "room.1" "a=""#]);
}

#[tokio::test]
async fn of_two_devices_that_join_together_at_least_one_is_announced() {
    for _ in 0..20 {
        let world = World::start().await;
        let (phone, desktop) =
            (world.connect("phone=", Some("ada")).await, world.connect("desktop=", Some("ada")).await);
        join_all([world.subscribe("lobby", &phone), world.subscribe("lobby", &desktop)]).await;
        assert!(!world.announced().await.is_empty());
        join_all([world.disconnect(&phone), world.disconnect(&desktop)]).await;
        assert!(!world.announced().await.is_empty());
    }
}

#[tokio::test]
async fn a_channel_that_is_not_to_be_told_hears_nothing() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    for channel in ["quiet", "roommates"] {
        world.subscribe(channel, &ada).await;
        world.unsubscribe(channel, &ada).await;
    }
    world.disconnect(&ada).await;
    assert!(world.announced().await.is_empty(), "nor everyone, nor the user");
}

#[tokio::test]
async fn who_may_not_subscribe_again_is_not_announced() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.announced().await;
    let room = Channel::parse("room.1").unwrap();
    assert_eq!(world.announcer.subscribe(&room, &ada, 1).await.unwrap(), Subscription::TooMany);
    assert!(world.announced().await.is_empty());
}

#[tokio::test]
async fn a_queue_that_takes_nothing_keeps_nobody_from_leaving() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.queue.refuse();
    world.disconnect(&ada).await;
    let lobby = Channel::parse("lobby").unwrap();
    assert!(world.registry().members(&lobby).collect::<Vec<_>>().await.is_empty());
}
