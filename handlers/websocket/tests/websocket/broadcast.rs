//! A message's way to a channel, in as many steps as it takes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, time::Duration};

use lambda_websocket::{
    Broadcast, Broadcaster, Channel, ConnectionId, Task,
    delivery::{
        continuations::Continuations,
        error::DeliveryError,
        poster::{Policy, Poster},
        report::Report,
    },
    protocol::frame::MAX_BYTES,
};
use serde_json::value::to_raw_value;
use testkit::{
    connections::{Answer, Connections},
    dynamodb::ConnectionTable,
    fixtures::{self, now_millis},
    queue::{FakeQueue, Sent},
};
use tokio::time::Instant;

struct World {
    table: ConnectionTable,
    connections: Connections,
    queue: FakeQueue,
    broadcaster: Broadcaster,
}

impl World {
    /// So many connections in the lobby, over so many shards, and a queue for the rest after so many recipients.
    async fn with(count: usize, shards: u8, after: usize) -> Self {
        let (table, connections, queue) =
            (ConnectionTable::start().await, Connections::start().await, FakeQueue::start().await);
        let (backoff, patience) = (Duration::from_millis(1), Duration::from_millis(50));
        let policy = Policy { backoff, patience, ..Policy::default() };
        let broadcaster = Broadcaster {
            registry: table.sharded_registry(shards),
            poster: Poster::new(connections.client(), policy),
            continuations: Some(Continuations { queue: queue.queue(), after, ranges: None }),
            notifier: None,
            history: None,
        };
        for id in ids(count) {
            broadcaster.registry.add(&lobby(), &fixtures::connect(&id).connection).await.unwrap();
        }
        Self { table, connections, queue, broadcaster }
    }

    async fn send(&self, broadcast: &Broadcast) -> Result<Report, DeliveryError> {
        self.broadcaster.send(broadcast, in_time()).await.map(|sent| sent.report)
    }

    /// Takes the broadcasts out of the queue, and prunes whom it names.
    async fn handed_over(&self) -> Vec<Broadcast> {
        let mut broadcasts = vec![];
        for sent in self.queue.take() {
            match Task::parse(&sent.body, now_millis()).unwrap() {
                Task::Broadcast(broadcast) => broadcasts.push(broadcast),
                delivery => self.broadcaster.perform(delivery, 1, in_time()).await.unwrap(),
            }
        }
        broadcasts
    }

    /// To whom the message was delivered, each as often as it was.
    fn reached(&self, count: usize) -> Vec<usize> {
        ids(count).iter().map(|id| self.connections.delivered_to(id).len()).collect()
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n:04}=")).collect()
}

fn id(text: &str) -> ConnectionId {
    ConnectionId::parse(text).unwrap()
}

fn lobby() -> Channel {
    Channel::parse("lobby").unwrap()
}

fn hello() -> Broadcast {
    Broadcast::new("m", lobby(), to_raw_value("hello").unwrap()).unwrap()
}

fn in_time() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

fn read(sent: &Sent) -> Broadcast {
    match Task::parse(&sent.body, now_millis()).unwrap() {
        Task::Broadcast(broadcast) => broadcast,
        delivery => panic!("{delivery:?} is no broadcast"),
    }
}

#[tokio::test]
async fn a_channel_is_reached_step_by_step_and_everyone_once() {
    for shards in [1, 4] {
        let world = World::with(100, shards, 30).await;
        let (mut to_do, mut steps, mut delivered) = (vec![hello()], 0, 0);
        while let Some(broadcast) = to_do.pop() {
            let report = world.send(&broadcast).await.unwrap();
            steps += 1;
            delivered += report.delivered;
            let rest = world.handed_over().await;
            assert_eq!(report.queued, !rest.is_empty());
            to_do.extend(rest);
        }
        assert_eq!((steps, delivered), (4, 100), "{shards} shards");
        assert_eq!(world.reached(100), [1; 100], "{shards} shards");
    }
}

#[tokio::test]
async fn who_is_left_out_is_left_out_in_every_step() {
    let world = World::with(20, 2, 8).await;
    let mut to_do = vec![hello().except([id("c0003="), id("c0017=")])];
    while let Some(broadcast) = to_do.pop() {
        world.send(&broadcast).await.unwrap();
        to_do.extend(world.handed_over().await);
    }
    let reached = world.reached(20);
    assert_eq!((reached[3], reached[17], reached.iter().sum::<usize>()), (0, 0, 18), "{reached:?}");
}

#[tokio::test]
async fn a_channel_that_one_step_reaches_leaves_nothing_over() {
    let world = World::with(10, 1, 10).await;
    let report = world.send(&hello()).await.unwrap();
    assert_eq!(report, Report { delivered: 10, ..Report::default() });
    assert!(world.queue.take().is_empty());
}

#[tokio::test]
async fn who_could_not_be_reached_for_a_reason_that_may_pass_is_tried_again_alone() {
    let world = World::with(6, 1, 100).await;
    world.connections.set("c0001=", Answer::RefuseFirst(500, 3));
    world.connections.set("c0002=", Answer::Refuse(503));
    world.connections.set("c0003=", Answer::Refuse(403));
    let report = world.send(&hello()).await.unwrap();
    assert_eq!(report, Report { delivered: 3, failed: 1, queued: true, ..Report::default() });
    let queued = world.queue.take();
    assert_eq!((queued.len(), queued[0].delay), (1, 2));

    // Who is reached then is not posted to again.
    let report = world.send(&read(&queued[0])).await.unwrap();
    assert_eq!(report, Report { delivered: 1, queued: true, ..Report::default() });
    let queued = world.queue.take();
    assert_eq!((queued.len(), queued[0].delay), (1, 4));
    world.connections.set("c0002=", Answer::Deliver);
    let report = world.send(&read(&queued[0])).await.unwrap();
    assert_eq!(report, Report { delivered: 1, ..Report::default() });
    assert_eq!(world.reached(6), [1, 1, 1, 0, 1, 1], "one who is refused for good is not tried again");
    assert!(world.queue.take().is_empty());
}

/// Sends a message, and what is handed over, to the end: the delays, and the last result.
async fn to_the_end(world: &World) -> (Vec<u64>, Result<Report, DeliveryError>) {
    let (mut delays, mut result) = (vec![], world.send(&hello()).await);
    while let Some(queued) = world.queue.take().first() {
        delays.push(queued.delay);
        result = world.send(&read(queued)).await;
    }
    (delays, result)
}

#[tokio::test]
async fn who_is_never_reached_is_left_to_the_queue_after_some_retries() {
    let world = World::with(3, 1, 100).await;
    world.connections.set("c0001=", Answer::Refuse(503));
    let (delays, result) = to_the_end(&world).await;
    assert_eq!(delays, [2, 4, 8, 16, 32]);
    let error = result.unwrap_err();
    assert!(matches!(error, DeliveryError::Undelivered { failed: 1 }), "{error}");
    assert_eq!(world.reached(3), [1, 0, 1]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up_in_a_small_channel_too_and_is_no_error() {
    let world = World::with(2, 1, 100).await;
    world.connections.set("c0001=", Answer::Refuse(429));
    let (delays, result) = to_the_end(&world).await;
    assert_eq!(delays, [2, 4, 8, 16, 32]);
    assert_eq!(result.unwrap(), Report { slow: 1, ..Report::default() });
    assert_eq!(world.reached(2), [1, 0]);
}

#[tokio::test]
async fn at_the_last_retry_who_is_still_missing_is_tried_again_alone() {
    let world = World::with(4, 1, 100).await;
    for id in ["c0000=", "c0001=", "c0002="] {
        world.connections.set(id, Answer::RefuseFirst(503, 5 * 3 + 2));
    }
    world.connections.set("c0001=", Answer::Refuse(503));
    let (delays, result) = to_the_end(&world).await;
    assert_eq!(delays, [2, 4, 8, 16, 32, 64]);
    assert!(matches!(result, Err(DeliveryError::Undelivered { failed: 1 })), "{result:?}");
    assert_eq!(world.reached(4), [1, 0, 1, 1], "nobody hears it again because of another");
}

#[tokio::test]
async fn without_a_queue_who_is_gone_is_deleted_at_once() {
    let mut world = World::with(3, 2, 100).await;
    world.broadcaster.continuations = None;
    world.connections.set("c0001=", Answer::Refuse(410));
    assert_eq!(world.send(&hello()).await.unwrap().gone, 1);
    assert_eq!(world.table.connection_ids().await, ["c0000=", "c0002="]);
}

#[tokio::test]
async fn without_a_queue_what_one_invocation_has_no_time_for_is_said() {
    let mut world = World::with(3, 1, 100).await;
    world.broadcaster.continuations = None;
    let soon = Instant::now() + Duration::from_secs(1);
    let report = world.broadcaster.send(&hello(), soon).await.unwrap().report;
    assert_eq!(report, Report { incomplete: true, ..Report::default() });
}

#[tokio::test]
async fn without_a_queue_who_could_not_be_reached_is_counted() {
    let mut world = World::with(5, 1, 2).await;
    world.broadcaster.continuations = None;
    world.connections.set("c0001=", Answer::Refuse(500));
    world.connections.set("c0002=", Answer::Refuse(403));
    let report = world.send(&hello()).await.unwrap();
    assert_eq!(report, Report { delivered: 3, failed: 2, ..Report::default() });
    let report = world.send(&hello().only([id("c0001="), id("c0003=")])).await.unwrap();
    assert_eq!(report, Report { delivered: 1, failed: 1, ..Report::default() });
}

#[tokio::test]
async fn who_is_gone_is_forgotten_in_every_channel_and_nobody_else() {
    let world = World::with(60, 3, 25).await;
    for id in ids(60) {
        let connection = fixtures::connect(&id).connection;
        world.broadcaster.registry.register(&connection).await.unwrap();
    }
    for id in &ids(60)[..40] {
        world.connections.set(id, Answer::Refuse(410));
    }
    let mut to_do = vec![hello()];
    let mut gone = 0;
    while let Some(broadcast) = to_do.pop() {
        gone += world.send(&broadcast).await.unwrap().gone;
        to_do.extend(world.handed_over().await);
    }
    assert_eq!(gone, 40);
    let left: BTreeSet<_> = world.table.connection_ids().await.into_iter().collect();
    assert_eq!(left, ids(60)[40..].iter().cloned().collect());
}

#[tokio::test]
async fn a_connection_is_reached_alone_wherever_it_is_and_forgotten_when_it_is_gone() {
    let world = World::with(3, 2, 100).await;
    let report = world.send(&hello().only([id("c0001="), id("elsewhere=")])).await.unwrap();
    assert_eq!(report.delivered, 2);
    assert_eq!(world.reached(3), [0, 1, 0]);
    world.connections.set("c0001=", Answer::Refuse(410));
    assert_eq!(world.send(&hello().only([id("c0001=")])).await.unwrap().gone, 1);
    assert!(world.handed_over().await.is_empty());
    assert_eq!(world.table.connection_ids().await, ["c0000=", "c0002="]);
}

#[tokio::test]
async fn what_is_to_be_kept_is_kept_once_in_whatever_steps_it_is_sent() {
    let mut world = World::with(20, 2, 8).await;
    world.broadcaster.history = Some(world.table.history(10).await);
    for broadcast in [hello().kept().unwrap(), hello()] {
        let mut to_do = vec![broadcast];
        while let Some(broadcast) = to_do.pop() {
            world.send(&broadcast).await.unwrap();
            to_do.extend(world.handed_over().await);
        }
        let kept = world.table.messages().await;
        assert_eq!(kept, [("lobby".to_owned(), 1, r#""hello""#.to_owned())]);
    }
    assert_eq!(world.reached(20), [2; 20]);
}

#[tokio::test]
async fn what_the_history_does_not_take_goes_to_nobody() {
    let mut world = World::with(3, 1, 8).await;
    world.broadcaster.history = Some(world.table.history(10).await);
    world.table.drop_history().await;
    let error = world.send(&hello().kept().unwrap()).await.unwrap_err();
    assert_eq!(error.error_type(), "WebSocket.History");
    assert_eq!(world.reached(3), [0; 3]);
    assert!(world.queue.take().is_empty());
}

#[tokio::test]
async fn a_queue_that_takes_nothing_is_our_fault() {
    let world = World::with(10, 1, 5).await;
    world.queue.refuse();
    let error = world.send(&hello()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Queue(_)), "{error}");
    assert_eq!(error.error_type(), "WebSocket.Queue");
}

#[tokio::test]
async fn a_channel_of_which_nothing_can_be_read_is_an_error_and_is_not_handed_over() {
    let world = World::with(0, 2, 5).await;
    world.table.drop_table().await;
    let error = world.send(&hello()).await.unwrap_err();
    assert!(error.error_type() == "WebSocket.Registry", "{error}");
    assert!(world.queue.take().is_empty());
}

#[tokio::test]
async fn a_function_without_time_for_anybody_says_so_and_hands_nothing_over() {
    let world = World::with(10, 1, 5).await;
    let error = world.broadcaster.send(&hello(), Instant::now()).await.unwrap_err();
    assert!(matches!(error, DeliveryError::NoTime), "{error}");
    assert!(world.queue.take().is_empty());
}

#[tokio::test]
async fn the_longest_message_is_handed_over_as_it_is() {
    // A queue takes messages of 256 KB: were its quotes escaped, this one would not fit.
    let world = World::with(3, 1, 2).await;
    let frame = to_raw_value(&vec![""; MAX_BYTES / 3 - 1]).unwrap();
    let broadcast = Broadcast::new("m", lobby(), frame.clone()).unwrap();
    let excluded = (0..1_000).map(|n| id(&format!("L0SM9cOFv{n:07}=")));
    world.send(&broadcast.except(excluded)).await.unwrap();
    let queued = world.queue.take();
    assert!(queued[0].body.len() < 256 * 1024, "{} bytes", queued[0].body.len());
    world.send(&read(&queued[0])).await.unwrap();
    assert_eq!(world.connections.delivered_to("c0002="), [frame.get()]);
}

#[test]
fn a_frame_that_nobody_could_receive_is_refused() {
    let frame = |bytes: usize| to_raw_value(&"x".repeat(bytes - 2)).unwrap();
    assert!(Broadcast::new("m", lobby(), frame(MAX_BYTES)).is_ok());
    let error = Broadcast::new("m", lobby(), frame(MAX_BYTES + 1)).unwrap_err();
    let sentence = "the message would reach its recipients as 131073 bytes; at most 131072 can be delivered";
    assert_eq!(error.to_string(), sentence);
}
