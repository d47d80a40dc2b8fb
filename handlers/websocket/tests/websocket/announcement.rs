//! Who joins and leaves, told to the channel.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{
    TryStreamExt,
    future::{join, join_all},
};
use lambda_websocket::{
    Broadcast, Broadcaster, Channel, ChannelPermissions, Connection, PresenceNotifier, Principal, Registry,
    Task,
    delivery::{
        continuations::Continuations,
        departure,
        error::DeliveryError,
        poster::{Policy, Poster},
    },
    store::{
        history::{History, Recorded},
        registry::{Subscription, expires_at},
    },
};
use serde_json::{Value, json, value::to_raw_value};
use testkit::{
    connections::{Answer, Connections},
    dynamodb::{ConnectionTable, remove, unsubscribe},
    fixtures,
    queue::FakeQueue,
    simulation::{Call, Fate, Simulation},
};
use tokio::time::{Instant, sleep};

/// A connection that hears all that channels are told, and of which nobody is told.
const WATCHER: &str = "watcher=";

struct World {
    table: ConnectionTable,
    connections: Connections,
    queue: FakeQueue,
    notifier: PresenceNotifier,
    history: Option<History>,
    /// How much of what it heard the test has had.
    had: Cell<usize>,
}

impl World {
    async fn start() -> Self {
        let (table, connections, queue) =
            (ConnectionTable::start().await, Connections::start().await, FakeQueue::start().await);
        let notifier = PresenceNotifier {
            registry: table.sharded_registry(3),
            queue: queue.queue(),
            channels: ChannelPermissions::parse("lobby room.* * user:*").unwrap(),
            is_numbered: false,
        };
        let watcher = fixtures::connect(WATCHER).connection;
        for channel in ["lobby", "room.1", "quiet", "roommates"] {
            notifier.registry.add(&Channel::parse(channel).unwrap(), &watcher).await.unwrap();
        }
        Self { table, connections, queue, notifier, history: None, had: Cell::new(0) }
    }

    /// The same with a history, where announcements are numbered.
    async fn start_numbered() -> Self {
        let mut world = Self::start().await;
        world.history = Some(world.table.history(100).await);
        world.notifier.is_numbered = true;
        world
    }

    fn registry(&self) -> &Registry {
        &self.notifier.registry
    }

    async fn connect(&self, id: &str, principal: Option<&str>) -> Connection {
        let principal = principal.map(|text| Principal::parse(text).unwrap());
        let connection = Connection { principal, ..fixtures::connect(id).connection };
        self.registry().register(&connection).await.unwrap();
        connection
    }

    async fn subscribe(&self, channel: &str, connection: &Connection) -> Subscription {
        self.notifier.subscribe(&Channel::parse(channel).unwrap(), connection, 50).await.unwrap()
    }

    async fn unsubscribe(&self, channel: &str, connection: &Connection) -> Result<(), DeliveryError> {
        let channel = Channel::parse(channel).unwrap();
        departure::unsubscribe(self.registry(), Some(&self.notifier), &channel, &connection.id).await
    }

    async fn disconnect(&self, connection: &Connection) -> Result<(), DeliveryError> {
        departure::disconnect(self.registry(), Some(&self.notifier), connection, in_time()).await
    }

    async fn is_in_the_lobby(&self, connection: &Connection) -> bool {
        let lobby = Channel::parse("lobby").unwrap();
        let members: Vec<_> = self.registry().members(&lobby).try_collect().await.unwrap();
        members.iter().any(|member| member.id == connection.id)
    }

    fn broadcaster(&self) -> Broadcaster {
        Broadcaster {
            registry: self.registry().clone(),
            poster: Poster::new(self.connections.client(), Policy::default()),
            continuations: Some(Continuations { queue: self.queue.queue(), after: 1_000, ranges: None }),
            notifier: Some(self.notifier.clone()),
            history: self.history.clone(),
        }
    }

    /// Does what was left to do, and gives the frames that channels were told, without their times.
    async fn announced(&self) -> Vec<Value> {
        self.deliver_all(1).await;
        let heard = self.connections.delivered_to(WATCHER);
        let mut frames: Vec<Value> = heard[self.had.replace(heard.len())..]
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect();
        for frame in &mut frames {
            assert!(frame.as_object_mut().unwrap().remove("at").unwrap().is_u64());
        }
        frames
    }

    /// Does what is in the queue, and what comes of it, as what has come so many times.
    async fn deliver_all(&self, receives: u32) {
        loop {
            let queued = self.queue.take();
            if queued.is_empty() {
                break;
            }
            for sent in queued {
                let delivery = Task::parse(&sent.body, fixtures::now_millis()).unwrap();
                self.broadcaster().perform(delivery, receives, in_time()).await.unwrap();
            }
        }
    }

    fn heard_by(&self, id: &str) -> usize {
        self.connections.delivered_to(id).len()
    }
}

fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(60)
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
    world.disconnect(&phone).await.unwrap();
    assert!(world.announced().await.is_empty(), "she is there all the while");
    world.unsubscribe("lobby", &desktop).await.unwrap();
    assert_eq!(world.announced().await, [about("left", "desktop=", "ada")]);
    world.disconnect(&desktop).await.unwrap();
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
    world.broadcaster().send(&message, in_time()).await.unwrap();
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
        world.unsubscribe(channel, &ada).await.unwrap();
    }
    world.disconnect(&ada).await.unwrap();
    assert!(world.announced().await.is_empty(), "nor everyone, nor the user");
}

#[tokio::test]
async fn who_may_not_subscribe_again_is_not_announced() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.announced().await;
    let room = Channel::parse("room.1").unwrap();
    assert_eq!(world.notifier.subscribe(&room, &ada, 1).await.unwrap(), Subscription::TooMany);
    assert!(world.announced().await.is_empty());
}

#[tokio::test]
async fn where_the_queue_takes_nothing_a_row_stays_and_the_leave_is_told_later() {
    let mut world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.announced().await;
    let queue = std::mem::replace(&mut world.queue, FakeQueue::start().await);
    queue.refuse();
    assert!(world.unsubscribe("lobby", &ada).await.is_err() && world.is_in_the_lobby(&ada).await);
    assert!(world.disconnect(&ada).await.is_err() && world.is_in_the_lobby(&ada).await);

    world.notifier.queue = world.queue.queue();
    world.connections.set("a=", Answer::Refuse(410));
    let message =
        Broadcast::new("m", Channel::parse("lobby").unwrap(), to_raw_value("hello").unwrap()).unwrap();
    world.broadcaster().send(&message.only([ada.id.clone()]), in_time()).await.unwrap();
    assert_eq!(world.announced().await, [about("left", "a=", "ada")]);
    assert!(!world.is_in_the_lobby(&ada).await);
}

#[tokio::test]
async fn a_leave_is_told_though_the_function_ended_between_the_deletion_and_the_announcement() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.announced().await;
    world.disconnect(&ada).await.unwrap();
    remove(world.registry(), &ada).await.unwrap();
    world.deliver_all(2).await;
    assert_eq!(world.announced().await, [about("left", "a=", "ada")]);
}

#[tokio::test]
async fn who_is_found_gone_by_many_messages_leaves_once() {
    let world = World::start().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.announced().await;
    world.connections.set("a=", Answer::Refuse(410));
    let message =
        Broadcast::new("m", Channel::parse("lobby").unwrap(), to_raw_value("hello").unwrap()).unwrap();
    let (message, broadcaster) =
        (message.except([fixtures::connect(WATCHER).connection.id]), world.broadcaster());
    join_all((0..5).map(|_| broadcaster.send(&message, in_time()))).await;
    for _ in 0..2 {
        // Prunes first, then the leaves that came of them, each at the same time as the others.
        let queued = world.queue.take().into_iter();
        let deliveries = queued.map(|sent| Task::parse(&sent.body, fixtures::now_millis()).unwrap());
        join_all(deliveries.map(|delivery| broadcaster.perform(delivery, 1, in_time()))).await;
    }
    assert_eq!(world.announced().await, [about("left", "a=", "ada")]);
}

#[tokio::test]
async fn who_was_found_gone_before_the_first_minute_was_over_stays_however_late_that_is_handled() {
    let world = World::start().await;
    let connected_at = fixtures::now_millis() - 50_000;
    let opening = Connection { connected_at, ..fixtures::connect("a=").connection };
    world.registry().register(&opening).await.unwrap();
    world.subscribe("lobby", &opening).await;
    world.announced().await;
    for (found_at, rows) in [(connected_at + 59_000, 2), (connected_at + 61_000, 0)] {
        let prune = json!({"prune": {"channel": "lobby", "members": ["0.a="], "foundAt": found_at}});
        let delivery = Task::parse(&prune.to_string(), connected_at + 600_000).unwrap();
        world.broadcaster().perform(delivery, 1, in_time()).await.unwrap();
        world.deliver_all(1).await;
        let ids = world.table.connection_ids().await;
        assert_eq!(ids.iter().filter(|id| *id == "a=").count(), rows);
    }
}

/// What the watcher was told: what happened, to whom, under which number.
fn told(frames: &[Value]) -> Vec<(&str, &str, u64)> {
    let text = |frame: &'_ Value, name: &str| frame[name].as_str().unwrap().to_owned().leak() as &str;
    frames
        .iter()
        .map(|frame| (text(frame, "type"), text(frame, "connectionId"), frame["seq"].as_u64().unwrap()))
        .collect()
}

#[tokio::test]
async fn with_a_history_joins_and_leaves_have_numbers_and_each_is_told_once() {
    let world = World::start_numbered().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    let queued = world.queue.take();
    let delays: Vec<_> = queued.iter().map(|sent| sent.delay).collect();
    assert_eq!(delays, [30, 0], "the first one in case that the function dies");
    for sent in queued.iter().rev().chain(&queued) {
        let task = Task::parse(&sent.body, fixtures::now_millis()).unwrap();
        world.broadcaster().perform(task, 1, in_time()).await.unwrap();
    }
    assert_eq!(told(&world.announced().await), [("joined", "a=", 1)]);
    // A second device neither joins nor leaves.
    let phone = world.connect("b=", Some("ada")).await;
    world.subscribe("lobby", &phone).await;
    world.disconnect(&phone).await.unwrap();
    assert_eq!(told(&world.announced().await), []);
    world.unsubscribe("lobby", &ada).await.unwrap();
    assert_eq!(told(&world.announced().await), [("left", "a=", 2)]);
    world.subscribe("lobby", &ada).await;
    assert_eq!(told(&world.announced().await), [("joined", "a=", 3)]);
    // That a connection is closed is noticed more than once.
    for _ in 0..2 {
        world.disconnect(&ada).await.unwrap();
    }
    assert_eq!(told(&world.announced().await), [("left", "a=", 4)]);
    let skipped = r#"{"type":"skipped","channel":"lobby","seq":1}"#;
    assert_eq!(world.connections.delivered_to("a=")[0], skipped, "it does not wait for its own join");
}

#[tokio::test]
async fn a_change_that_is_over_is_not_told_but_for_one_that_may_have_been() {
    let world = World::start_numbered().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    let joined = world.queue.take();
    world.unsubscribe("lobby", &ada).await.unwrap();
    world.queue.take();
    let task = || Task::parse(&joined[0].body, fixtures::now_millis()).unwrap();
    world.broadcaster().perform(task(), 1, in_time()).await.unwrap();
    assert_eq!(told(&world.announced().await), []);
    // The invocation that performed it before may have died after it told.
    world.broadcaster().perform(task(), 2, in_time()).await.unwrap();
    assert_eq!(told(&world.announced().await), [("left", "a=", 1)]);
}

#[tokio::test]
async fn who_looks_back_by_time_gets_messages_and_who_comes_back_by_number_joins_and_leaves_too() {
    let world = World::start_numbered().await;
    let ada = world.connect("a=", Some("ada")).await;
    world.subscribe("lobby", &ada).await;
    world.deliver_all(1).await;
    let lobby = Channel::parse("lobby").unwrap();
    let message = Broadcast::new("m", lobby.clone(), to_raw_value(&json!({"type": "message"})).unwrap());
    world.broadcaster().send(&message.unwrap().kept().unwrap(), in_time()).await.unwrap();
    let history = world.history.as_ref().unwrap();
    let seqs = |messages: Vec<Recorded>| messages.into_iter().map(|message| message.seq).collect::<Vec<_>>();
    assert_eq!(seqs(history.after(&lobby, 0).await.unwrap().messages), [1, 2]);
    assert_eq!(seqs(history.since(&lobby, 0).await.unwrap().messages), [2]);
}

/// An AWS on the test's clock, and who tells its lobby of joins.
fn simulated() -> (Simulation, PresenceNotifier) {
    let simulation = Simulation::start();
    let (registry, queue) = (simulation.registry(1), simulation.queue());
    let channels = ChannelPermissions::parse("lobby").unwrap();
    (simulation, PresenceNotifier { registry, queue, channels, is_numbered: false })
}

fn ada(id: &str) -> Connection {
    let principal = Some(Principal::parse("ada").unwrap());
    Connection { principal, ..fixtures::connect(id).connection }
}

fn row(channel: &str, connection: &Connection) -> Value {
    json!({
        "channel": {"S": format!("{channel}#0")},
        "connectionId": {"S": connection.id.as_str()},
        "principal": {"S": connection.principal.as_ref().unwrap().as_str()},
        "connectedAt": {"N": connection.connected_at.to_string()},
        "expiresAt": {"N": expires_at(connection).to_string()},
    })
}

#[tokio::test(start_paused = true)]
async fn a_join_is_told_though_the_queue_or_the_table_failed_at_first() {
    let lobby = Channel::parse("lobby").unwrap();
    let queue_fails = |call: &Call| matches!(call, Call::Enqueue);
    let put_fails = |call: &Call| matches!(call, Call::Table("PutItem", _));
    for (fails, told) in [(queue_fails as fn(&Call) -> bool, 1), (put_fails, 2)] {
        let (simulation, notifier) = simulated();
        simulation.decide(move |call| {
            let time = Duration::from_millis(10);
            if fails(call) { Fate::Refused(500, time) } else { Fate::Served(time) }
        });
        let connection = ada("a=");
        notifier.subscribe(&lobby, &connection, 50).await.unwrap_err();
        assert!(simulation.rows().is_empty(), "who is not told of is not in");
        simulation.decide(|_| Fate::Served(Duration::from_millis(10)));
        assert_eq!(notifier.subscribe(&lobby, &connection, 50).await.unwrap(), Subscription::Made);
        assert_eq!(notifier.subscribe(&lobby, &connection, 50).await.unwrap(), Subscription::Kept);
        assert_eq!(simulation.take_queued().len(), told, "not again where it is known");
    }
}

#[tokio::test(start_paused = true)]
async fn who_joins_while_the_other_device_leaves_is_told_though_the_queue_failed_at_first() {
    let lobby = Channel::parse("lobby").unwrap();
    let (simulation, notifier) = simulated();
    let (phone, desktop) = (ada("phone="), ada("desktop="));
    for connection in [&phone, &desktop] {
        simulation.put(row("user:ada", connection));
    }
    simulation.put(row("lobby", &phone));
    // The phone's row is gone while the desktop's is written.
    let (is_written, leaver) = (Arc::new(AtomicBool::new(false)), simulation.registry(1));
    let written = Arc::clone(&is_written);
    simulation.decide(move |call| {
        let time = Duration::from_millis(10);
        match call {
            Call::Table("PutItem", _) => {
                written.store(true, Ordering::Relaxed);
                Fate::Served(Duration::from_secs(1))
            }
            Call::Enqueue => Fate::Refused(500, time),
            _ => Fate::Served(time),
        }
    });
    let start = Instant::now();
    let leaves = async {
        while !is_written.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1)).await;
            assert!(start.elapsed() < Duration::from_secs(29), "no row is written");
        }
        unsubscribe(&leaver, &lobby, &phone.id).await.unwrap();
    };
    let (joined, ()) = join(notifier.subscribe(&lobby, &desktop, 50), leaves).await;
    joined.unwrap_err();
    simulation.decide(|_| Fate::Served(Duration::from_millis(10)));
    assert_eq!(notifier.subscribe(&lobby, &desktop, 50).await.unwrap(), Subscription::Made);
    assert_eq!(simulation.take_queued().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn however_many_connections_a_principal_has_a_join_and_a_leave_take_a_moment() {
    let lobby = Channel::parse("lobby").unwrap();
    for (devices, there, joined, left) in [
        (1, 0, 1, 1),
        (10, 0, 1, 1),
        (10, 1, 0, 0),
        (11, 0, 1, 1),
        (3_000, 0, 1, 1),
        (3_000, 1, 0, 0),
        (3_000, 3_000, 0, 0),
    ] {
        let (simulation, notifier) = simulated();
        simulation.decide(|_| Fate::Served(Duration::from_millis(5)));
        let connection = ada("d00000=");
        for number in 0..devices {
            simulation.put(row("user:ada", &ada(&format!("d{number:05}="))));
        }
        // Those with the last ids are in the channel, among others.
        for number in devices - there..devices {
            simulation.put(row("lobby", &ada(&format!("d{number:05}="))));
        }
        for number in 0..1_000 {
            let principal = Some(Principal::parse(format!("p{number}")).unwrap());
            let id = format!("e{number:05}=");
            simulation.put(row("lobby", &Connection { principal, ..fixtures::connect(&id).connection }));
        }
        let (start, calls) = (Instant::now(), simulation.calls());
        notifier.subscribe(&lobby, &connection, 50).await.unwrap();
        let (time, calls) = (start.elapsed(), simulation.calls() - calls);
        assert!(time < Duration::from_millis(100) && calls <= 30, "{devices}: {time:?}, {calls} calls");
        assert_eq!(simulation.take_queued().len(), joined, "{devices} connections, {there} of them there");

        let start = Instant::now();
        departure::unsubscribe(&notifier.registry, Some(&notifier), &lobby, &connection.id).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(100), "{devices}: {:?}", start.elapsed());
        assert_eq!(simulation.take_queued().len(), left, "{devices} connections, {there} of them there");
    }
}

/// Of a principal with more connections than are asked for, in a channel of more members than are read.
#[tokio::test(start_paused = true)]
async fn where_it_takes_too_long_to_find_out_a_join_is_told_and_a_leave_is_not() {
    let lobby = Channel::parse("lobby").unwrap();
    let (simulation, notifier) = simulated();
    simulation.set_rows_in_a_page(100);
    for number in 0..20 {
        simulation.put(row("user:ada", &ada(&format!("z{number:02}="))));
    }
    for number in 0..500 {
        let principal = Some(Principal::parse(format!("p{number}")).unwrap());
        let id = format!("e{number:05}=");
        simulation.put(row("lobby", &Connection { principal, ..fixtures::connect(&id).connection }));
    }
    let connection = ada("z00=");
    notifier.subscribe(&lobby, &connection, 50).await.unwrap();
    assert_eq!(simulation.take_queued().len(), 1);
    departure::unsubscribe(&notifier.registry, Some(&notifier), &lobby, &connection.id).await.unwrap();
    assert!(simulation.take_queued().is_empty());
}
