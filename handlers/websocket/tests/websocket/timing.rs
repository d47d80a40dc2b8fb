//! What depends on time: on a simulated clock, so that no test waits and none depends on how fast the machine is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, future::join, stream};
use lambda_websocket::{
    Broadcast, Broadcaster, Channel, ChannelPermissions, Connection, ConnectionId, PresenceNotifier,
    Principal, Task,
    delivery::{
        continuations::Continuations,
        departure,
        poster::{Outcome, Policy, Poster},
    },
    store::history::Missed,
};
use serde_json::{Value, value::to_raw_value};
use testkit::{
    fixtures,
    simulation::{Call, Fate, Simulation},
    sqs::Sent,
};
use tokio::time::{Instant, sleep};

const SOON: Duration = Duration::from_millis(10);

fn id(text: &str) -> ConnectionId {
    ConnectionId::parse(text).unwrap()
}

fn ids(count: usize) -> Vec<ConnectionId> {
    (0..count).map(|number| id(&format!("c{number:04}="))).collect()
}

fn lobby() -> Channel {
    Channel::parse("lobby").unwrap()
}

fn hello() -> Broadcast {
    Broadcast::new("m", lobby(), to_raw_value("hello").unwrap()).unwrap()
}

fn broadcaster(simulation: &Simulation, shards: u8) -> Broadcaster {
    Broadcaster {
        registry: simulation.registry(shards),
        poster: simulation.poster(),
        continuations: Some(Continuations { queue: simulation.queue(), after: usize::MAX, ranges: None }),
        notifier: None,
        history: None,
    }
}

/// So many connections are open and in the lobby.
async fn joined(simulation: &Simulation, broadcaster: &Broadcaster, count: usize) {
    for id in ids(count) {
        simulation.open(id.as_str());
        broadcaster.registry.add(&lobby(), &fixtures::connect(id.as_str()).connection).await.unwrap();
    }
}

/// How often each connection heard something.
fn heard(simulation: &Simulation) -> BTreeMap<String, usize> {
    let mut heard = BTreeMap::new();
    for delivery in simulation.deliveries() {
        *heard.entry(delivery.connection).or_default() += 1;
    }
    heard
}

/// Sends what was handed over until nothing is left.
async fn go_on(simulation: &Simulation, broadcaster: &Broadcaster, mut to_do: Vec<Sent>) {
    while let Some(sent) = to_do.pop() {
        let delivery = Task::parse(&sent.body, fixtures::now_millis()).unwrap();
        broadcaster.perform(delivery, 1, Instant::now() + Duration::from_secs(60)).await.unwrap();
        to_do.extend(simulation.take_queued());
    }
}

#[tokio::test(start_paused = true)]
async fn near_the_deadline_the_rest_is_handed_over() {
    let simulation = Simulation::start();
    let broadcaster = broadcaster(&simulation, 1);
    joined(&simulation, &broadcaster, 2_000).await;
    simulation.decide(|call| match call {
        Call::Post(_) => Fate::Served(Duration::from_millis(300)),
        _ => Fate::Served(SOON),
    });
    // 3 s are left for the rest; reading ends halfway to the last post, where little time is left.
    let start = Instant::now();
    let report = broadcaster.send(&hello(), start + Duration::from_secs(4)).await.unwrap().report;
    assert!(report.queued && (1..2_000).contains(&report.delivered) && report.failed == 0, "{report:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let queued = simulation.take_queued();
    assert_eq!(
        queued.len(),
        1,
        "the rest, and nobody to be posted to again: no post that had begun was cut off"
    );
    go_on(&simulation, &broadcaster, queued).await;
    let heard = heard(&simulation);
    assert_eq!(heard.len(), 2_000);
    assert!(heard.values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_breaks_after_some_progress_is_handed_over_and_read_on_later() {
    let simulation = Simulation::start();
    let broadcaster = broadcaster(&simulation, 2);
    joined(&simulation, &broadcaster, 40).await;
    simulation.set_rows_in_a_page(5);
    simulation.decide(|call| match call {
        // Every page of one shard but the first.
        Call::Table("Query", about) if about.contains("lobby#1") && about.contains("connectionId") => {
            Fate::Refused(500, SOON)
        }
        _ => Fate::Served(SOON),
    });
    let report = broadcaster.send(&hello(), Instant::now() + Duration::from_secs(60)).await.unwrap().report;
    assert!(report.queued && (5..40).contains(&report.delivered), "{report:?}");
    simulation.decide(|_| Fate::Served(SOON));
    go_on(&simulation, &broadcaster, simulation.take_queued()).await;
    let heard = heard(&simulation);
    assert!(heard.len() == 40 && heard.values().all(|times| *times == 1), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_just_written_down_is_replayed_though_copies_of_the_table_lag_behind() {
    let simulation = Simulation::start();
    simulation.set_lag(Duration::from_secs(2));
    let (history, now) = (simulation.history(10), fixtures::now_millis());
    let mut recorded = vec![];
    for id in ["1", "2"] {
        sleep(Duration::from_secs(3)).await;
        let seq = history.next_seq(&lobby()).await.unwrap();
        recorded.extend(history.record(&lobby(), seq, id, "hello").await.unwrap());
        for missed in [history.since(&lobby(), now).await, history.after(&lobby(), 0).await] {
            let Missed { messages, seq: last, .. } = missed.unwrap();
            assert_eq!((&messages, last), (&recorded, seq));
        }
        assert_eq!(history.last_seq(&lobby()).await.unwrap(), seq);
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_joins_while_the_other_leaves_is_announced() {
    let simulation = Simulation::start();
    let registry = simulation.registry(1);
    let channels = ChannelPermissions::parse("lobby").unwrap();
    let notifier = PresenceNotifier {
        registry: registry.clone(),
        queue: simulation.queue(),
        channels,
        is_numbered: false,
    };
    let device = |id: &str| Connection {
        principal: Some(Principal::parse("ada").unwrap()),
        ..fixtures::connect(id).connection
    };
    let (phone, desktop) = (device("phone="), device("desktop="));
    for device in [&phone, &desktop] {
        registry.register(device).await.unwrap();
    }
    notifier.subscribe(&lobby(), &phone, 50).await.unwrap();
    simulation.take_queued();
    // The second device has found the first one there, and its row is under way for a second.
    simulation.decide(|call| match call {
        Call::Table("PutItem", about) if about.contains("desktop") => Fate::Served(Duration::from_secs(1)),
        _ => Fate::Served(SOON),
    });
    let leaves = async {
        sleep(Duration::from_millis(200)).await;
        departure::unsubscribe(&registry, Some(&notifier), &lobby(), &phone.id).await.unwrap();
    };
    let (_, subscribed) = join(leaves, notifier.subscribe(&lobby(), &desktop, 50)).await;
    subscribed.unwrap();
    let told: Vec<_> = simulation
        .take_queued()
        .iter()
        .map(|sent| serde_json::from_str::<Value>(&sent.body).unwrap()["broadcast"]["frame"]["type"].clone())
        .collect();
    assert_eq!(told, ["left", "joined"], "she is there, and the channel knows it");
}

#[tokio::test(start_paused = true)]
async fn while_the_rate_is_exceeded_a_post_is_tried_again_for_seconds() {
    let simulation = Simulation::start();
    let (start, ids) = (Instant::now(), ids(50));
    ids.iter().for_each(|id| simulation.open(id.as_str()));
    simulation.decide(move |call| match call {
        Call::Post(_) if start.elapsed() < Duration::from_secs(5) => Fate::Refused(429, SOON),
        _ => Fate::Served(SOON),
    });
    let poster = simulation.poster();
    let posts = poster.post("hello", stream::iter(&ids), start + Duration::from_secs(60));
    let outcomes: Vec<_> = posts.map(|(_, outcome)| outcome).collect().await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Delivered), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn while_a_post_waits_to_be_tried_again_another_takes_its_turn() {
    let simulation = Simulation::start();
    ["first=", "second="].iter().for_each(|id| simulation.open(id));
    let mut posts = 0;
    simulation.decide(move |call| match call {
        Call::Post(id)
            if id == "first=" && {
                posts += 1;
                posts == 1
            } =>
        {
            Fate::Refused(500, SOON)
        }
        _ => Fate::Served(SOON),
    });
    fastrand::seed(1);
    let policy = Policy { concurrency: 1, backoff: Duration::from_secs(1), ..Policy::default() };
    let poster = Poster::new(simulation.connections(), policy);
    let (first, second, deadline) = (id("first="), id("second="), Instant::now() + Duration::from_secs(60));
    let outcomes =
        join(poster.post_to(&first, "hello", deadline), poster.post_to(&second, "hello", deadline));
    assert_eq!(outcomes.await, (Outcome::Delivered, Outcome::Delivered));
    let order: Vec<_> = simulation.deliveries().into_iter().map(|delivery| delivery.connection).collect();
    assert_eq!(order, ["second=", "first="]);
}
