//! A broadcast to more connections than one invocation reaches.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::HashMap, time::Duration};

use lambda_websocket::{
    Broadcaster, Task, delivery::continuations::Continuations, protocol::frame::MAX_BYTES, runtime::Record,
};
use publish::{HAND_OVER_AFTER, Publisher, publish};
use serde_json::json;
use testkit::{
    fixtures::{self, DELIVERY_QUEUE},
    simulation::{Call, Fate, Simulation},
};
use tokio::time::Instant;

/// How many connections there are.
const COUNT: usize = 100_000;

/// The function's timeout, as the module `publisher` sets it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// So many are connected, over so many shards, and answer posts with this status.
fn connected(simulation: &Simulation, count: usize, shards: u8, status: u16) {
    let connected_at = fixtures::now_millis();
    for number in 0..count {
        let id = format!("c{number:06}=");
        simulation.open_to(&id, status);
        simulation.put(json!({
            "channel": {"S": format!("*#{}", number % usize::from(shards))},
            "connectionId": {"S": id},
            "connectedAt": {"N": connected_at.to_string()},
            "expiresAt": {"N": (connected_at / 1_000 + 7_800).to_string()},
        }));
    }
}

fn publisher(simulation: &Simulation, shards: u8, after: usize) -> Publisher {
    let broadcaster = Broadcaster {
        registry: simulation.registry(shards),
        poster: simulation.poster(),
        continuations: Some(Continuations { queue: simulation.queue(), after }),
        notifier: None,
        history: None,
    };
    Publisher { broadcaster, delivery_queue: DELIVERY_QUEUE.to_owned() }
}

async fn reaches_everyone_once(shards: u8) {
    let simulation = Simulation::start();
    connected(&simulation, COUNT, shards, 200);
    let hello = json!({"channel": "*", "message": {"text": "hello"}, "id": "m"});
    let mut to_do = vec![fixtures::publication(hello.to_string())];
    let (mut reached_before, mut invocations) = (0, 0);
    while let Some(record) = to_do.pop() {
        invocations += 1;
        // Each in an environment of its own, where nothing is warm.
        let publisher = publisher(&simulation, shards, HAND_OVER_AFTER);
        let start = Instant::now();
        publish(&publisher, Record { deadline: start + TIMEOUT, ..record }).await.unwrap();
        let (taken, reached) = (start.elapsed(), simulation.deliveries().len());
        println!("{shards} shards, step {invocations}: {} posts in {taken:?}", reached - reached_before);
        assert!(taken < TIMEOUT, "an invocation took {taken:?}");
        assert!(
            reached - reached_before <= HAND_OVER_AFTER,
            "an invocation posted to {}",
            reached - reached_before
        );
        reached_before = reached;
        to_do.extend(simulation.take_queued().into_iter().map(|sent| fixtures::delivery(sent.body)));
        assert!(to_do.len() <= 1, "there is one cursor");
    }
    assert_eq!(invocations, COUNT / HAND_OVER_AFTER);
    let mut times = HashMap::new();
    for delivery in simulation.deliveries() {
        *times.entry(delivery.connection).or_insert(0) += 1;
    }
    assert_eq!(times.len(), COUNT);
    assert!(times.values().all(|times| *times == 1), "each once");
}

#[tokio::test(start_paused = true)]
async fn a_broadcast_reaches_100_000_connections_step_by_step_and_each_once() {
    reaches_everyone_once(1).await;
}

#[tokio::test(start_paused = true)]
async fn so_it_does_over_8_shards() {
    reaches_everyone_once(8).await;
}

/// A message as long as can be delivered, of signs that JSON writes as two, to all but as many as can be left out.
#[tokio::test(start_paused = true)]
async fn the_longest_message_can_be_handed_over() {
    let simulation = Simulation::start();
    connected(&simulation, 700, 64, 503);
    let exclude: Vec<_> = (0..1_000).map(|number| format!("L0SM9cOFvH{number:05}=")).collect();
    let text = "\"".repeat((MAX_BYTES - 100) / 2);
    let body = json!({"channel": "*", "message": text, "id": "m", "exclude": exclude}).to_string();
    publish(&publisher(&simulation, 64, 650), fixtures::publication(body)).await.unwrap();

    // Whom it posts to again, in two parts, and whom it never came to.
    let queued = simulation.take_queued();
    assert_eq!(queued.len(), 3);
    for sent in queued {
        Task::parse(&sent.body, fixtures::now_millis()).unwrap();
    }
}

/// Those who are gone are found late, and to forget them takes longer than there is.
#[tokio::test(start_paused = true)]
async fn an_invocation_ends_in_time_though_the_table_hangs() {
    let simulation = Simulation::start();
    connected(&simulation, 10, 1, 410);
    simulation.decide(|call| match call {
        Call::Post(_) => Fate::Served(Duration::from_secs(4)),
        Call::Table("Query", about) if about.contains("c0") => Fate::Ignored,
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let body = json!({"channel": "*", "message": "hello"}).to_string();
    let deadline = Instant::now() + Duration::from_secs(8);
    let publisher = publisher(&simulation, 1, HAND_OVER_AFTER);
    publish(&publisher, Record { deadline, ..fixtures::publication(body) }).await.unwrap();
    assert!(Instant::now() < deadline, "{:?} too late", Instant::now() - deadline);
}
