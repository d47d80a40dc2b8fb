//! A case: connections that come, speak, go and come back, backends that publish, and Lambda between them, all of it by
//! the seed.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    num::NonZeroU32,
    ops::AddAssign,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::future::join_all;
use serde_json::{Value, json};
use testkit::{
    fixtures,
    simulation::{Fate, Simulation},
};
use tokio::time::{sleep, timeout};

use crate::{
    chaos::{Chaos, Unsure, generator},
    client::Client,
    journal::Journal,
    lambda::{Lambda, Size},
    presence::ANNOUNCED,
    queue::Queue,
};

/// For how long things happen.
pub(crate) const LASTS: Duration = Duration::from_secs(60);

pub(crate) const CHANNELS: [&str; 2] = ["lobby", "orders:eu"];
pub(crate) const PRINCIPALS: [&str; 2] = ["ada", "auth0|5f7c#8ec7"];

/// What happened in a case, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Messages whose sender was told that they are on their way.
    pub(crate) messages: usize,
    /// Those whose sender was not told so.
    pub(crate) unanswered: usize,
    pub(crate) deliveries: usize,
    pub(crate) calls: u64,
    pub(crate) crashes: u64,
    /// How often a record was received.
    pub(crate) receives: u64,
    pub(crate) dead_letters: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.unanswered += other.unanswered;
        self.deliveries += other.deliveries;
        self.calls += other.calls;
        self.crashes += other.crashes;
        self.receives += other.receives;
        self.dead_letters += other.dead_letters;
    }
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) simulation: Simulation,
    pub(crate) lambda: Lambda,
    pub(crate) journal: RefCell<Journal>,
    pub(crate) queue: Queue,
    /// How many things are still going to happen.
    pub(crate) to_happen: Cell<usize>,
    numbers: Cell<u64>,
    unsure: Arc<Mutex<Unsure>>,
    /// What should not have happened.
    broken: RefCell<Option<String>>,
}

/// Plays the case of a seed, and tells what it came to, or what promise was broken.
pub(crate) fn play(seed: u64) -> Result<Summary, String> {
    fastrand::seed(seed); // The waits between attempts are drawn from it.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { World::new(seed).play().await })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = generator(seed, "world");
        let simulation = Simulation::start();
        simulation.set_rows_in_a_page(rng.usize(1..5));
        simulation.set_lag(
            *rng.choice(&[Duration::ZERO, Duration::from_millis(50), Duration::from_secs(2)]).unwrap(),
        );
        // The account's rate, as small as the world is.
        if rng.u8(0..3) == 0 {
            simulation.set_rate(20.0, 10.0);
        }
        Self {
            seed,
            lambda: Lambda::new(Size {
                shards: rng.u8(1..4),
                after: rng.usize(1..8),
                concurrency: NonZeroU32::new(rng.u32(1..4)).unwrap(),
                rate_limit: NonZeroU32::new(*rng.choice(&[20, 10_000]).unwrap()).unwrap(),
            }),
            simulation,
            journal: RefCell::default(),
            queue: Queue::default(),
            to_happen: Cell::new(0),
            numbers: Cell::new(0),
            unsure: Arc::default(),
            broken: RefCell::default(),
        }
    }

    async fn play(&self) -> Result<Summary, String> {
        let mut rng = generator(self.seed, "cast");
        let mut clients: Vec<_> = (0..rng.usize(2..9)).map(|number| Client::new(number, &mut rng)).collect();
        let backends = rng.usize(1..4);
        // One who does not keep up, and one who is refused for good.
        for (client, status) in clients.iter_mut().zip([429, *rng.choice(&[400, 403, 413]).unwrap()]) {
            if rng.u8(0..3) == 0 {
                client.answers = status;
                self.journal.borrow_mut().hopeless.insert(client.id.clone());
            }
        }
        let mut expired = row("expired=", now() - 3 * 60 * 60);
        for channel in CHANNELS.iter().chain(&["*"]) {
            expired["channel"] = json!({"S": format!("{channel}#0")});
            self.simulation.put(expired.clone());
        }
        self.simulation.open("expired=");
        self.lambda.calm.set(true);
        for client in clients.iter().filter(|client| client.was_there) {
            assert!(self.connect(client).await, "nothing goes wrong yet");
        }

        // Things go wrong.
        self.lambda.calm.set(false);
        let mut chaos = Chaos::new(self.seed, LASTS, Arc::clone(&self.unsure));
        self.simulation.decide(move |call| chaos.decide(call));
        self.to_happen.set(clients.len() + backends);
        let clients_live = clients.iter().map(|client| self.live(client));
        let backends_publish = (0..backends).map(|number| self.publish_some(number));
        let workers = (0..2).map(|number| self.work(number));
        let calm_down = async {
            sleep(LASTS + LASTS).await;
            self.lambda.calm.set(true);
            self.simulation.decide(|_| Fate::Served(Duration::from_millis(10)));
            self.queue.wake();
        };
        let all = async {
            let lives = join_all(
                clients_live
                    .map(|life| Box::pin(life) as Pin<Box<dyn Future<Output = ()>>>)
                    .chain(backends_publish.map(|life| Box::pin(life) as Pin<Box<dyn Future<Output = ()>>>)),
            );
            futures::join!(lives, join_all(workers), calm_down);
        };
        if timeout(Duration::from_secs(3_600), all).await.is_err() {
            return Err(format!("the queue is never empty: {:?}", self.queue.bodies()));
        }
        self.verdict()?;

        // A last message to everyone finds those who are gone and have not been noticed yet, and takes all their rows.
        sleep(Duration::from_secs(60)).await;
        self.simulation.set_lag(Duration::ZERO);
        let mut found = self.rows();
        found.retain(|(channel, id)| channel == "*" && !self.simulation.is_open(id));
        self.enqueue(json!({"channel": "*"}), &[], "backend").await;
        self.empty_the_queue().await?;
        let left = self.rows();
        if let Some((_, id)) = found.iter().find(|(_, id)| left.iter().any(|(_, other)| other == id)) {
            return Err(format!("{id} was found to be gone, but the table holds {left:?}"));
        }
        // One to each channel finds those who died while they connected, or were cut short while they left. Whoever does not
        // keep up is closed by then, and found by another.
        let passes = if clients.iter().any(|client| client.answers == 429) { 2 } else { 1 };
        for _ in 0..passes {
            let channels = CHANNELS.iter().chain(&["*"]).map(|name| json!({"channel": name}));
            for channel in channels.chain(PRINCIPALS.map(|name| json!({"user": name}))) {
                self.enqueue(channel, &[], "backend").await;
            }
            self.empty_the_queue().await?;
        }
        self.verdict()?;
        self.check_rows()?;
        let members = self.rows().into_iter().filter(|(channel, _)| channel == ANNOUNCED).map(|(_, id)| id);
        let members: Vec<_> = members.collect();
        self.journal.borrow().presence.check_last(&self.simulation.history_rows(), &members)?;
        let (journal, deliveries) = (self.journal.borrow(), self.simulation.deliveries());
        journal.presence.check(
            &journal.stays,
            &deliveries,
            &journal.hopeless,
            &self.unsure.lock().unwrap().rows,
        )?;
        let (messages, unanswered) = journal.count();
        Ok(Summary {
            messages,
            unanswered,
            deliveries: deliveries.len(),
            calls: self.simulation.calls(),
            crashes: self.lambda.crashes.get(),
            receives: self.queue.receives.get(),
            dead_letters: self.queue.dead_letters.get(),
        })
    }

    /// Whether the table holds the rows of those who are connected, and no other.
    fn check_rows(&self) -> Result<(), String> {
        self.simulation.expire();
        let journal = self.journal.borrow();
        let open = journal.connections().filter(|id| self.simulation.is_open(id));
        let mut expected: Vec<_> = open
            .flat_map(|id| journal.channels_of(id).map(move |channel| (channel.to_owned(), id.to_owned())))
            .collect();
        expected.sort();
        expected.dedup();
        let mut found = self.rows();
        found.sort();
        if found != expected {
            return Err(format!("the table holds {found:?}, not {expected:?}"));
        }
        Ok(())
    }

    /// Each row's channel and connection.
    fn rows(&self) -> Vec<(String, String)> {
        let rows = self.simulation.rows().into_iter();
        // What has no shard is no channel: a replay under way.
        rows.filter_map(|(partition, id)| {
            partition.rsplit_once('#').map(|(channel, _)| (channel.to_owned(), id.clone()))
        })
        .collect()
    }

    async fn empty_the_queue(&self) -> Result<(), String> {
        let emptied = timeout(Duration::from_secs(3_600), self.work(0)).await;
        emptied.map_err(|_| "the queue is never empty though nothing goes wrong".to_owned())
    }

    fn verdict(&self) -> Result<(), String> {
        if let Some(broken) = self.broken.borrow_mut().take() {
            return Err(broken);
        }
        let (journal, deliveries) = (self.journal.borrow(), self.simulation.deliveries());
        journal.check(&deliveries, &self.unsure.lock().unwrap())?;
        journal.check_memory(&self.simulation.history_rows(), &deliveries)
    }

    pub(crate) fn number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// One thing less is going to happen.
    pub(crate) fn has_happened(&self) {
        self.to_happen.set(self.to_happen.get() - 1);
        self.queue.wake();
    }

    /// What should not have happened did.
    pub(crate) fn breaks(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }
}

/// In seconds since the Unix epoch.
fn now() -> u64 {
    fixtures::now_millis() / 1_000
}

/// A row of a connection that was established then, in seconds since the Unix epoch.
fn row(connection: &str, connected_at: u64) -> Value {
    json!({
        "connectionId": {"S": connection},
        "connectedAt": {"N": (connected_at * 1_000).to_string()},
        "expiresAt": {"N": (connected_at + 7_800).to_string()},
    })
}
