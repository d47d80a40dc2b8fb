//! What functions leave to `publish`, on a simulated AWS whose clock nobody waits for.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::join_all;
use lambda_websocket::{
    Broadcast, Broadcaster, Channel, ChannelPermissions, ConnectionId, Error, PresenceNotifier, Task,
    delivery::{continuations::Continuations, error::DeliveryError},
    lambda::queue_batch::Record,
};
use publish::{HAND_OVER_AFTER, Publisher, publish};
use send::send;
use serde_json::{Value, json, value::to_raw_value};
use testkit::{
    fixtures::{self, DELIVERY_QUEUE},
    simulation::{Call, Fate, Simulation},
};
use tokio::time::{Instant, sleep};

/// The function's timeout, as the module `publisher` sets it.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How long a record that failed is invisible.
const VISIBILITY: Duration = Duration::from_secs(360);

/// A connection that was established ten minutes ago, in a shard of a channel.
fn put(simulation: &Simulation, channel: &str, shard: usize, id: &str, principal: Option<&str>) {
    let connected_at = fixtures::now_millis() - 600_000;
    let mut row = json!({
        "channel": {"S": format!("{channel}#{shard}")},
        "connectionId": {"S": id},
        "connectedAt": {"N": connected_at.to_string()},
        "expiresAt": {"N": (connected_at / 1_000 + 7_800).to_string()},
    });
    if let Some(principal) = principal {
        row["principal"] = json!({"S": principal});
    }
    simulation.put(row);
}

/// So many connections that are open, over so many shards of everyone's channel.
fn connected(simulation: &Simulation, count: usize, shards: usize) {
    for number in 0..count {
        let id = format!("c{number:06}=");
        simulation.open(&id);
        put(simulation, "*", number % shards, &id, None);
    }
}

fn broadcaster(simulation: &Simulation, shards: u8, after: usize) -> Broadcaster {
    Broadcaster {
        registry: simulation.registry(shards),
        poster: simulation.poster(),
        continuations: Some(Continuations { queue: simulation.queue(), after, ranges: None }),
        notifier: None,
        history: None,
    }
}

fn publisher(broadcaster: Broadcaster) -> Publisher {
    Publisher { broadcaster, task_queues: fixtures::task_queues() }
}

/// How often each connection heard something.
fn times_heard(simulation: &Simulation) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for delivery in simulation.deliveries() {
        *times.entry(delivery.connection).or_default() += 1;
    }
    times
}

/// Does what is in the queue, and what comes of it, until nothing is left or everything has failed five times.
async fn to_the_end(publisher: &Publisher, simulation: &Simulation) -> Vec<Error> {
    let (mut errors, mut waiting) = (vec![], vec![]);
    loop {
        waiting.extend(
            simulation.take_queued().into_iter().map(|sent| (sent.delay, fixtures::delivery(sent.body))),
        );
        let Some((delay, record)) = waiting.pop() else { return errors };
        sleep(Duration::from_secs(delay)).await;
        let again = record.clone();
        if let Err(error) = publish(publisher, Record { deadline: Instant::now() + TIMEOUT, ..record }).await
        {
            if again.receives < 5 {
                waiting.push((VISIBILITY.as_secs(), Record { receives: again.receives + 1, ..again }));
            } else {
                errors.push(error);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_the_message_does_not_hear_it_again_because_one_of_500_is_never_reached() {
    let simulation = Simulation::start();
    connected(&simulation, 500, 1);
    simulation.decide(|call| match call {
        Call::Post(id) if id == "c000000=" => Fate::Refused(500, Duration::from_millis(10)),
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let ids: Vec<_> = (0..500).map(|n| format!("c{n:06}=")).collect();
    let broadcast = json!({"messageId": "m", "channel": "*", "frame": {"type": "message"}, "exclude": [], "to": {"connections": ids}, "retries": 5});
    let publisher = publisher(broadcaster(&simulation, 1, HAND_OVER_AFTER));
    publish(&publisher, fixtures::delivery(json!({ "broadcast": broadcast }).to_string())).await.unwrap();
    let errors = to_the_end(&publisher, &simulation).await;
    assert!(
        matches!(errors.as_slice(), [Error::Delivery(DeliveryError::Undelivered { failed: 1 })]),
        "{errors:?}"
    );
    let times = times_heard(&simulation);
    assert_eq!((times.len(), times.values().max()), (499, Some(&1)));
}

/// A channel of two, of whom one takes nothing, and 10 messages a second, while a backend publishes to somebody else.
#[tokio::test(start_paused = true)]
async fn a_stuck_client_holds_up_no_other_channel_and_is_closed_after_a_minute() {
    let simulation = Simulation::start();
    for (channel, id, status) in [("pair", "live=", 200), ("pair", "stuck=", 429), ("news", "other=", 200)] {
        simulation.open_to(id, status);
        put(&simulation, channel, 0, id, None);
    }
    const SECONDS: u64 = 80;
    let start = Instant::now();
    let until = start + Duration::from_secs(SECONDS + 60);
    let (publications, deliveries) = (RefCell::new(vec![]), RefCell::new(vec![]));
    let (receives, slowest) = (Cell::new(0_u64), Cell::new(Duration::ZERO));
    let collect = || {
        for sent in simulation.take_queued() {
            let visible = Instant::now() + Duration::from_secs(sent.delay);
            deliveries.borrow_mut().push((visible, fixtures::delivery(sent.body)));
        }
    };
    // Environments of `publish`, as many as the module lets each queue have, and ten records at once in each.
    let work = async |queue: &RefCell<Vec<(Instant, Record)>>| {
        let publisher = publisher(broadcaster(&simulation, 1, HAND_OVER_AFTER));
        while Instant::now() < until {
            collect();
            let mut batch = vec![];
            queue.borrow_mut().retain(|(visible, record): &(Instant, Record)| {
                let is_taken = *visible <= Instant::now() && batch.len() < 10;
                if is_taken {
                    batch.push((*visible, record.clone()));
                }
                !is_taken
            });
            if batch.is_empty() {
                sleep(Duration::from_millis(50)).await;
                continue;
            }
            let deadline = Instant::now() + TIMEOUT;
            let (publisher, slowest, receives) = (&publisher, &slowest, &receives);
            join_all(batch.into_iter().map(async |(since, record)| {
                receives.set(receives.get() + 1);
                let is_publication = record.queue != DELIVERY_QUEUE;
                publish(publisher, Record { deadline, ..record }).await.unwrap();
                if is_publication {
                    slowest.set(slowest.get().max(since.elapsed()));
                }
            }))
            .await;
        }
    };
    let workers = [&publications, &publications, &publications, &deliveries, &deliveries].map(work);
    // Environments of `send`, each with a message a second.
    let senders = (0..10).map(async |number| {
        let broadcaster = broadcaster(&simulation, 1, 1_000);
        for second in 0..SECONDS {
            sleep(Duration::from_millis(1_000 + number)).await;
            let (id, pair) = (format!("s{number}-{second}"), Channel::parse("pair").unwrap());
            let message = Broadcast::new(id, pair, to_raw_value("x").unwrap()).unwrap();
            broadcaster.send(&message, Instant::now() + Duration::from_secs(28)).await.unwrap();
        }
    });
    let backend = async {
        for number in 0..SECONDS {
            sleep(Duration::from_secs(1)).await;
            let body = json!({"channel": "news", "message": number}).to_string();
            publications.borrow_mut().push((Instant::now(), fixtures::publication(body)));
        }
    };
    futures::join!(join_all(workers), join_all(senders), backend);

    println!("{} receives, the slowest publication {:?}", receives.get(), slowest.get());
    assert!(slowest.get() < Duration::from_millis(200), "an unrelated message took {:?}", slowest.get());
    assert!(!simulation.is_open("stuck="), "its client connects anew, and asks for what it missed");
    assert!(simulation.rows().iter().all(|(_, id)| id != "stuck="), "and it is pruned");
    assert!(publications.borrow().is_empty() && deliveries.borrow().is_empty(), "nothing waits");
    let heard = times_heard(&simulation);
    assert_eq!((heard["live="], heard["other="]), (10 * SECONDS as usize, SECONDS as usize));
}

#[tokio::test(start_paused = true)]
async fn what_sqs_does_not_take_arrives_all_the_same_byte_for_byte() {
    let simulation = Simulation::start();
    connected(&simulation, 5, 1);
    let publisher = publisher(broadcaster(&simulation, 1, 2));
    let message = "\"\u{ffff} \\uffff \u{fffe} \u{e000}2 \u{7f}\"";
    let body = format!("{{\"action\":\"send\",\"message\":{message}}}");
    send(&publisher.broadcaster, fixtures::message("c000000=", &body)).await.unwrap();
    assert!(to_the_end(&publisher, &simulation).await.is_empty());
    let heard = simulation.deliveries();
    assert_eq!(heard.len(), 5);
    for delivery in heard {
        assert_eq!(delivery.frame, simulation.deliveries()[0].frame);
        assert!(delivery.frame.contains(message), "{}", delivery.frame);
    }
}

/// Hundreds vanish, and one speaks.
#[tokio::test(start_paused = true)]
async fn the_sender_does_not_wait_for_those_who_are_gone_and_every_leave_is_told() {
    const GONE: usize = 300;
    for principals in [false, true] {
        let simulation = Simulation::start();
        simulation.open("live=");
        put(&simulation, "lobby", 0, "live=", None);
        for n in 0..GONE {
            let principal = format!("p{n}");
            put(&simulation, "lobby", 0, &format!("gone{n:04}="), principals.then_some(&principal));
        }
        let mut broadcaster = broadcaster(&simulation, 1, 2_000);
        broadcaster.notifier = Some(PresenceNotifier {
            registry: simulation.registry(1),
            queue: simulation.queue(),
            channels: ChannelPermissions::parse("lobby").unwrap(),
            is_numbered: false,
        });
        let start = Instant::now();
        let event = fixtures::message("live=", r#"{"action":"send","channel":"lobby","message":1}"#);
        send(&broadcaster, event).await.unwrap();
        let acked = start.elapsed();
        assert!(acked < Duration::from_millis(500), "acked after {acked:?}");

        // The queue fails now and then, and environments die: each record comes twice at least.
        let publisher = publisher(broadcaster);
        let mut waiting = VecDeque::from(simulation.take_queued()); // What is delayed comes behind the others.
        while let Some(sent) = waiting.pop_front() {
            let record = fixtures::delivery(sent.body);
            let crash = Duration::from_millis(fastrand::u64(0..60));
            let _ = tokio::time::timeout(crash, publish(&publisher, record.clone())).await;
            let deadline = Instant::now() + TIMEOUT;
            publish(&publisher, Record { receives: 2, deadline, ..record }).await.unwrap();
            waiting.extend(simulation.take_queued());
        }
        assert_eq!(simulation.rows().len(), 1);
        let mut told: Vec<String> = simulation
            .deliveries()
            .iter()
            .map(|delivery| serde_json::from_str::<Value>(&delivery.frame).unwrap())
            .filter(|frame| frame["type"] == "left")
            .map(|frame| frame["connectionId"].as_str().unwrap().to_owned())
            .collect();
        told.sort();
        told.dedup();
        assert_eq!(told.len(), GONE, "everybody is told of, whoever died");
    }
}

/// The rows that queries of the connection table evaluated, and their number.
async fn read_in_a_step(shards: usize, members: usize, after: usize) -> (u64, u64, usize) {
    let simulation = Simulation::start();
    connected(&simulation, members, shards);
    let queries = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&queries);
    simulation.decide(move |call| {
        if let Call::Table("Query", _) = call {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        Fate::Served(Duration::from_millis(5))
    });
    let publisher = publisher(broadcaster(&simulation, shards as u8, after));
    let body = json!({"channel": "*", "message": "hello"}).to_string();
    publish(&publisher, fixtures::publication(body)).await.unwrap();
    (simulation.rows_read(), queries.load(Ordering::Relaxed), simulation.deliveries().len())
}

#[tokio::test(start_paused = true)]
async fn a_step_reads_what_it_posts_and_asks_each_shard_once() {
    // One more row than is posted to tells whether anybody is left.
    assert_eq!(read_in_a_step(64, 64_000, 1_000).await, (1_001, 9, 1_000));
    assert_eq!(read_in_a_step(1, 30_000, 10_000).await, (10_001, 11, 10_000));
    assert_eq!(read_in_a_step(64, 2, 1_000).await, (2, 64, 2));
}

#[tokio::test(start_paused = true)]
async fn the_next_page_is_read_while_this_one_is_posted_to() {
    let simulation = Simulation::start();
    connected(&simulation, 10_000, 1);
    simulation.decide(|call| match call {
        Call::Table(..) => Fate::Served(Duration::from_millis(70)),
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let publisher = publisher(broadcaster(&simulation, 1, 20_000));
    let start = Instant::now();
    let body = json!({"channel": "*", "message": "hello"}).to_string();
    publish(&publisher, fixtures::publication(body)).await.unwrap();
    // Ten pages, each read in 70 ms and posted to in 80: one after the other they would take 1.5 s.
    let taken = start.elapsed();
    assert!(taken < Duration::from_millis(1_000), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn the_rest_is_handed_over_last_and_not_where_something_before_it_was_not_taken() {
    let simulation = Simulation::start();
    connected(&simulation, 1_300, 1);
    let fails = Arc::new(AtomicBool::new(true));
    let entries_fail = Arc::clone(&fails);
    simulation.decide(move |call| match call {
        Call::Post(_) => Fate::Refused(503, Duration::from_millis(10)),
        Call::Entry(body) if body.contains("c000600=") && entries_fail.load(Ordering::Relaxed) => {
            Fate::Refused(500, Duration::ZERO)
        }
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let publisher = publisher(broadcaster(&simulation, 1, 1_200));
    let body = json!({"channel": "*", "message": "hello"}).to_string();
    let (start, record) = (Instant::now(), fixtures::publication(body));
    let error = publish(&publisher, record.clone()).await.unwrap_err();
    assert!(
        matches!(error, Error::Delivery(DeliveryError::Queue(_))) && start.elapsed() < TIMEOUT,
        "{:?}: {error}",
        start.elapsed()
    );
    let queued = simulation.take_queued();
    assert_eq!(queued.len(), 2, "each that was taken is in it once");
    assert!(queued.iter().all(|sent| !sent.body.contains("cursor")), "nobody goes on meanwhile");

    fails.store(false, Ordering::Relaxed);
    publish(&publisher, Record { deadline: Instant::now() + TIMEOUT, ..record }).await.unwrap();
    let queued = simulation.take_queued();
    assert_eq!(queued.len(), 4);
    assert!(queued[3].body.contains("cursor"));
}

#[tokio::test(start_paused = true)]
async fn entries_of_a_batch_that_were_not_taken_are_sent_again_alone() {
    let simulation = Simulation::start();
    let failures = Arc::new(AtomicU64::new(0));
    simulation.decide(move |call| match call {
        Call::Post(_) => Fate::Refused(503, Duration::from_millis(10)),
        Call::Entry(_) if failures.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) => {
            Fate::Refused(500, Duration::ZERO)
        }
        _ => Fate::Served(Duration::from_millis(10)),
    });
    connected(&simulation, 3_000, 1);
    let broadcaster = broadcaster(&simulation, 1, 5_000);
    let hello = Broadcast::new("m", Channel::everyone(), to_raw_value("hello").unwrap()).unwrap();
    broadcaster.send(&hello, Instant::now() + TIMEOUT).await.unwrap();
    let mut ids = vec![];
    for sent in simulation.take_queued() {
        let sent: Value = serde_json::from_str(&sent.body).unwrap();
        ids.extend(sent["broadcast"]["to"]["connections"].as_array().unwrap().clone());
    }
    assert_eq!(ids.len(), 3_000);
    let ids: std::collections::BTreeSet<_> = ids.iter().map(Value::to_string).collect();
    assert_eq!(ids.len(), 3_000, "each once");
}

/// The longest that a queue makes anybody wait, however slow it is.
#[tokio::test(start_paused = true)]
async fn an_invocation_ends_in_time_though_the_queue_is_slow() {
    for ms in [50, 2_000] {
        let simulation = Simulation::start();
        connected(&simulation, 3_000, 1);
        simulation.decide(move |call| match call {
            Call::Post(_) => Fate::Refused(503, Duration::from_millis(10)),
            Call::Enqueue => Fate::Served(Duration::from_millis(ms)),
            _ => Fate::Served(Duration::from_millis(10)),
        });
        let publisher = publisher(broadcaster(&simulation, 1, 2_500));
        let deadline = Instant::now() + Duration::from_secs(30);
        let body = json!({"channel": "*", "message": "hello"}).to_string();
        let published = publish(&publisher, Record { deadline, ..fixtures::publication(body) }).await;
        assert!(Instant::now() < deadline, "{ms} ms: {:?} too late", Instant::now() - deadline);
        let rest = simulation.take_queued().iter().filter(|sent| sent.body.contains("cursor")).count();
        assert_eq!(published.is_ok(), rest == 1, "{ms} ms: {published:?}");
    }
}

/// Where the account's rate is exceeded for a while, nobody who reads is taken for slow because of what was before.
#[tokio::test(start_paused = true)]
async fn who_was_refused_for_a_while_hears_the_next_message() {
    let simulation = Simulation::start();
    simulation.open_to("a=", 429);
    put(&simulation, "pair", 0, "a=", None);
    let publisher = publisher(broadcaster(&simulation, 1, HAND_OVER_AFTER));
    let message = |id: &str| {
        let pair = Channel::parse("pair").unwrap();
        Broadcast::new(id, pair, to_raw_value(id).unwrap()).unwrap()
    };
    let deadline = || Instant::now() + Duration::from_secs(28);
    let report = publisher.broadcaster.send(&message("1"), deadline()).await.unwrap().report;
    assert!(report.queued);
    let start = Instant::now();
    let report = publisher.broadcaster.send(&message("2"), deadline()).await.unwrap().report;
    assert!(
        report.queued && start.elapsed() < Duration::from_millis(500),
        "nobody waits once more: {:?}",
        start.elapsed()
    );
    simulation.open("a=");
    let report = publisher.broadcaster.send(&message("3"), deadline()).await.unwrap().report;
    assert_eq!(report.delivered, 1);
    assert!(to_the_end(&publisher, &simulation).await.is_empty());
    let mut heard: Vec<_> = simulation.deliveries().into_iter().map(|delivery| delivery.frame).collect();
    heard.sort();
    assert_eq!(heard, [r#""1""#, r#""2""#, r#""3""#]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_may_not_be_closed_stays_and_is_no_error() {
    let simulation = Simulation::start();
    simulation.open_to("a=", 429);
    simulation.decide(|call| match call {
        Call::Close(_) => Fate::Refused(403, Duration::from_millis(10)),
        _ => Fate::Served(Duration::from_millis(10)),
    });
    let publisher = publisher(broadcaster(&simulation, 1, HAND_OVER_AFTER));
    let hello = Broadcast::new("m", Channel::everyone(), to_raw_value("hello").unwrap()).unwrap();
    let hello = hello.only([ConnectionId::parse("a=").unwrap()]);
    publisher.broadcaster.send(&hello, Instant::now() + TIMEOUT).await.unwrap();
    assert!(to_the_end(&publisher, &simulation).await.is_empty());
    assert!(simulation.is_open("a="));
}

#[test]
fn a_delivery_says_what_is_wrong_with_it() {
    for (body, says) in [
        ("hello", "it is no broadcast, prune, join or leave that a function wrote"),
        (r#"{"prune":{"channel":"*","members":[],"foundAt":0}}"#, "its members is not 1 to 500"),
    ] {
        let error = Task::parse(body, 0).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
