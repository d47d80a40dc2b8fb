//! The queue as SQS and the module `publisher` have it: what fails is there again after the visibility timeout, and a
//! dead letter after some receives.

use std::{
    cell::{Cell, RefCell},
    collections::HashSet,
    time::Duration,
};

use fastrand::Rng;
use futures::future::{join_all, select};
use lambda_websocket::{Error, delivery::error::DeliveryError, lambda::queue_batch::Record};
use publish::publish;
use serde_json::Value;
use testkit::fixtures;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{chaos::generator, presence::Presence, world::World};

/// The longest that an invocation of `publish` may take, unless the module is told otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// How long nobody else gets a record that was received.
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// How often a record is received before it is a dead letter.
const MAX_RECEIVE_COUNT: u32 = 5;

/// A record of the queue.
struct Waiting {
    record: Record,
    /// The id of its message, or what else it is about.
    message: String,
    visible: Instant,
    /// Whether it is delivered once more after it was handled.
    doubled: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    waiting: RefCell<Vec<Waiting>>,
    /// How many are received, and not yet handled.
    in_flight: Cell<usize>,
    arrived: Notify,
    /// What functions ever put in.
    bodies_seen: RefCell<HashSet<String>>,
    pub(crate) receives: Cell<u64>,
    pub(crate) dead_letters: Cell<u64>,
}

impl Queue {
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.waiting.borrow().iter().map(|waiting| waiting.record.body.clone()).collect()
    }

    fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty() && self.in_flight.get() == 0
    }

    /// Something happened that a worker may wait for.
    pub(crate) fn wake(&self) {
        self.arrived.notify_waiters();
    }
}

impl World {
    /// Puts a record into the queue that carries a message on.
    pub(crate) fn put(&self, message: String, record: Record, delay: Duration) {
        self.journal.borrow_mut().takes_up(&message);
        let id = format!("sqs-{}", self.number());
        let doubled = !self.lambda.calm.get() && generator(self.seed, &id).u8(0..5) == 0;
        let record = Record { id, receives: 0, ..record };
        let waiting = Waiting { record, message, visible: Instant::now() + delay, doubled };
        self.queue.waiting.borrow_mut().push(waiting);
        self.queue.wake();
    }

    /// What functions put into the queue is in it.
    pub(crate) fn collect(&self) {
        for sent in self.simulation.take_queued() {
            let record: Value = serde_json::from_str(&sent.body).unwrap();
            let message = subject(&record).unwrap_or_else(|| panic!("{record} is no delivery"));
            // Nobody heard that it was taken, and it was put in once more.
            if !self.queue.bodies_seen.borrow_mut().insert(sent.body.clone()) {
                self.journal.borrow_mut().begins_anew(&message);
            }
            self.put(message, fixtures::delivery(sent.body), Duration::from_secs(sent.delay));
        }
    }

    /// Invokes `publish` with what is in the queue, batch by batch, until there is nothing left to do.
    pub(crate) async fn work(&self, number: usize) {
        let mut rng = generator(self.seed, ("worker", number, self.lambda.calm.get()));
        loop {
            self.collect();
            let arrived = self.queue.arrived.notified();
            let batch = self.receive(rng.usize(1..4), &mut rng);
            if batch.is_empty() {
                if self.to_happen.get() == 0 && self.queue.is_empty() && self.lambda.calm.get() {
                    return self.queue.wake();
                }
                // What a function queues without an end of its own, such as one that died, is found by the minute.
                let next = self.queue.waiting.borrow().iter().map(|waiting| waiting.visible).min();
                let later = Instant::now() + Duration::from_secs(60);
                select(Box::pin(arrived), Box::pin(sleep_until(next.map_or(later, |next| next.min(later)))))
                    .await;
                continue;
            }
            self.queue.receives.set(self.queue.receives.get() + batch.len() as u64);
            self.queue.in_flight.set(self.queue.in_flight.get() + batch.len());
            self.serve(batch, &mut rng).await;
        }
    }

    /// Takes some records, in any order.
    fn receive(&self, most: usize, rng: &mut Rng) -> Vec<Waiting> {
        let (mut queue, now, mut batch) = (self.queue.waiting.borrow_mut(), Instant::now(), vec![]);
        while batch.len() < most {
            let visible: Vec<_> = (0..queue.len()).filter(|index| queue[*index].visible <= now).collect();
            let Some(index) = rng.choice(&visible) else { break };
            let mut waiting = queue.swap_remove(*index);
            waiting.record.receives += 1;
            waiting.visible = now + VISIBILITY_TIMEOUT;
            batch.push(waiting);
        }
        batch
    }

    async fn serve(&self, batch: Vec<Waiting>, rng: &mut Rng) {
        let deadline = Instant::now() + TIMEOUT;
        let results = self.lambda.invoke("publish", &self.simulation, deadline, rng, async |environment| {
            let calls = batch.iter().map(|waiting| {
                publish(&environment.publisher, Record { deadline, ..waiting.record.clone() })
            });
            join_all(calls).await
        });
        let results = results.await;
        if Instant::now() >= deadline {
            let bodies: Vec<_> = batch.iter().map(|waiting| &waiting.record.body).collect();
            self.breaks(format!("an invocation ran past its deadline: {bodies:?}"));
        }
        self.collect();
        let mut results = results.map(Vec::into_iter);
        self.queue.in_flight.set(self.queue.in_flight.get() - batch.len());
        for mut waiting in batch {
            let result = results.as_mut().and_then(Iterator::next);
            match result {
                Some(Ok(())) if !waiting.doubled => {
                    self.journal.borrow_mut().puts_down(&waiting.message);
                    continue;
                }
                Some(Ok(())) => {
                    waiting.doubled = false;
                    self.journal.borrow_mut().begins_anew(&waiting.message);
                }
                failed if waiting.record.receives == MAX_RECEIVE_COUNT => {
                    let error = failed.and_then(Result::err);
                    if !matches!(error, Some(Error::Delivery(DeliveryError::Undelivered { failed: 1 }))) {
                        self.breaks(format!("{} is a dead letter: {error:?}", waiting.record.body));
                    }
                    self.queue.dead_letters.set(self.queue.dead_letters.get() + 1);
                    self.journal.borrow_mut().puts_down(&waiting.message);
                    continue;
                }
                // Where nothing goes wrong any more, nothing explains another post.
                _ if self.lambda.calm.get() => {}
                _ => self.journal.borrow_mut().begins_anew(&waiting.message),
            }
            self.queue.waiting.borrow_mut().push(waiting);
        }
        self.queue.wake();
    }
}

/// What a task is about: the id of a message, an announcement, or who is gone.
fn subject(record: &Value) -> Option<String> {
    let (broadcast, prune) = (&record["broadcast"], &record["prune"]);
    let frame = &broadcast["frame"];
    if let (Some(kind), Some(about)) = (frame["type"].as_str(), frame["connectionId"].as_str()) {
        return Some(Presence::key(kind, about));
    }
    if frame["type"] == "skipped" {
        return Some(Presence::key("skipped", broadcast["messageId"].as_str()?));
    }
    if let Some(id) = broadcast["messageId"].as_str() {
        return Some(id.to_owned());
    }
    for (task, kind) in [("join", "joined"), ("leave", "left")] {
        if let Some(about) = record[task]["connectionId"].as_str() {
            return Some(Presence::key(kind, about));
        }
    }
    prune.is_object().then(|| Presence::key("gone", &prune["members"].to_string()))
}
