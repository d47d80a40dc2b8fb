//! A broadcast to more connections than one invocation reaches.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::Duration,
};

use futures::future::join_all;
use lambda_websocket::{
    Broadcaster, Task,
    delivery::{continuations::Continuations, ranges::Ranges},
    lambda::queue_batch::Record,
    protocol::frame::MAX_BYTES,
};
use publish::{HAND_OVER_AFTER, Publisher, publish};
use serde_json::json;
use testkit::{
    fixtures,
    simulation::{Call, Fate, Simulation},
};
use tokio::time::{Instant, sleep};

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
        continuations: Some(Continuations { queue: simulation.queue(), after, ranges: None }),
        notifier: None,
        history: None,
    };
    Publisher { broadcaster, task_queues: fixtures::task_queues() }
}

/// Posts to everyone in a channel of so many, and returns how long it took and the most posts of a second.
async fn reaches_everyone_once(count: usize, shards: u8, ranges: (u32, u32)) -> (Duration, usize) {
    let simulation = Simulation::start();
    connected(&simulation, count, shards, 200);
    let start = Instant::now();
    let hello = json!({"channel": "*", "message": {"text": "hello"}, "id": "m"});
    let (waiting, under_way) = (RefCell::new(vec![fixtures::publication(hello.to_string())]), Cell::new(0));
    // As many invocations at once as the queue lets there be, each in an environment of its own, where nothing is warm.
    let invocations = (0..ranges.0).map(async |_| {
        loop {
            waiting
                .borrow_mut()
                .extend(simulation.take_queued().into_iter().map(|sent| fixtures::delivery(sent.body)));
            let Some(record) = waiting.borrow_mut().pop() else {
                if under_way.get() == 0 {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            under_way.set(under_way.get() + 1);
            let mut publisher = publisher(&simulation.environment(), shards, HAND_OVER_AFTER);
            publisher.broadcaster.continuations.as_mut().unwrap().ranges = Some(Ranges {
                queue: simulation.queue(),
                concurrency: ranges.0.try_into().unwrap(),
                rate_limit: ranges.1.try_into().unwrap(),
            });
            let start = Instant::now();
            publish(&publisher, Record { deadline: start + TIMEOUT, ..record }).await.unwrap();
            assert!(start.elapsed() < TIMEOUT, "an invocation took {:?}", start.elapsed());
            under_way.set(under_way.get() - 1);
        }
    });
    join_all(invocations).await;
    let (mut times, mut seconds) = (HashMap::new(), HashMap::new());
    for delivery in simulation.deliveries() {
        *times.entry(delivery.connection).or_insert(0) += 1;
        *seconds.entry((delivery.at - start).as_secs()).or_insert(0) += 1;
    }
    assert_eq!(times.len(), count);
    assert!(times.values().all(|times| *times == 1), "each once");
    let most = seconds.into_values().max().unwrap();
    println!("{count} in {shards} shards, {ranges:?}: {:?}, at most {most} a second", start.elapsed());
    (start.elapsed(), most)
}

/// Whether that many are reached at no more than the rate, and no less than 0.9 of it.
async fn keeps_to_the_rate(count: usize, shards: u8, (concurrency, rate): (u32, u32)) {
    let (taken, most) = reaches_everyone_once(count, shards, (concurrency, rate)).await;
    let shortest = count as f64 / f64::from(rate);
    assert!(taken.as_secs_f64() <= shortest / 0.9, "{taken:?}, not {shortest} s");
    assert!(most as f64 <= f64::from(rate) * 1.1, "{most} posts in a second");
}

#[tokio::test(start_paused = true)]
async fn several_functions_post_to_100_000_connections_and_to_each_once() {
    keeps_to_the_rate(COUNT, 1, (4, 5_000)).await;
}

#[tokio::test(start_paused = true)]
async fn so_they_do_over_8_shards() {
    keeps_to_the_rate(COUNT, 8, (16, 10_000)).await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_little_too_large_for_one_is_cut_evenly() {
    keeps_to_the_rate(7_000, 4, (4, 1_000)).await;
}

#[tokio::test(start_paused = true)]
async fn what_one_invocation_has_no_time_for_at_the_rate_goes_on_in_another() {
    keeps_to_the_rate(6_000, 1, (2, 40)).await;
}

/// Rows that have expired, which DynamoDB deletes within days, make no channel large.
#[tokio::test(start_paused = true)]
async fn rows_that_have_expired_are_not_counted() {
    let simulation = Simulation::start();
    connected(&simulation, 10, 1, 200);
    for number in 0..20 {
        simulation.put(json!({
            "channel": {"S": "*#0"}, "connectionId": {"S": format!("b{number:06}=")}, "expiresAt": {"N": "1"},
        }));
    }
    let mut publisher = publisher(&simulation, 1, 12);
    let (concurrency, rate_limit) = (4.try_into().unwrap(), 5_000.try_into().unwrap());
    publisher.broadcaster.continuations.as_mut().unwrap().ranges =
        Some(Ranges { queue: simulation.queue(), concurrency, rate_limit });
    let body = json!({"channel": "*", "message": "hello"}).to_string();
    publish(&publisher, fixtures::publication(body)).await.unwrap();
    assert_eq!((simulation.deliveries().len(), simulation.take_queued().len()), (10, 0));
}

/// A message as long as can be delivered, of signs that JSON writes as two, to all but as many as can be left out.
#[tokio::test(start_paused = true)]
async fn the_longest_message_can_be_handed_over() {
    let simulation = Simulation::start();
    connected(&simulation, 700, 64, 503);
    let exclude: Vec<_> = (0..1_000).map(|number| format!("L0SM9cOFvH{number:05}=")).collect();
    let text = "\"".repeat((MAX_BYTES - 130) / 2);
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
