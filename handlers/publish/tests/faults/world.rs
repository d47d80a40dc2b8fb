//! A case: connections that come, speak and go, backends that publish, and Lambda between them, all of it by the seed.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    ops::AddAssign,
    pin::Pin,
    time::Duration,
};

use connect::{Admission, connect};
use disconnect::{Farewell, disconnect};
use fastrand::Rng;
use futures::future::{Either, join_all, select};
use lambda_websocket::{
    broadcast::{Broadcaster, Handover},
    error::{Error, chain},
    event::{Connect, Disconnect, Message},
    registry::Registry,
    runtime::Record,
};
use publish::{Publisher, publish};
use send::send;
use serde_json::{Value, json};
use subscribe::{Subscriptions, subscribe};
use testkit::{
    fixtures::{self, DELIVERY_QUEUE},
    simulation::{Fate, Simulation},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::{
    chaos::{Chaos, generator, up_to},
    journal::{Journal, alone, frame},
};

/// For how long things happen and go wrong.
const LASTS: Duration = Duration::from_secs(60);

/// The longest that an invocation of `publish` may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How often a record may be received while nothing goes wrong any more.
const MOST_RECEIVES: u32 = 5;

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

/// A record of the queue.
struct Waiting {
    id: String,
    body: String,
    /// The id of its message; nothing where it is about who is gone.
    message: Option<String>,
    /// Whether it is in the queue of deliveries.
    is_delivery: bool,
    visible: Instant,
    receives: u32,
    /// Whether it is delivered once more after it was handled.
    doubled: bool,
}

struct World {
    seed: u64,
    shards: u8,
    after: usize,
    simulation: Simulation,
    journal: RefCell<Journal>,
    queue: RefCell<Vec<Waiting>>,
    /// How many things are still going to happen.
    to_happen: Cell<usize>,
    calm: Cell<bool>,
    numbers: Cell<u64>,
    crashes: Cell<u64>,
    receives: Cell<u64>,
    dead_letters: Cell<u64>,
    /// What should not have happened.
    broken: RefCell<Option<String>>,
}

const CHANNELS: [&str; 2] = ["lobby", "orders:eu"];
const PRINCIPALS: [&str; 2] = ["ada", "auth0|5f7c#8ec7"];

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
        Self {
            seed,
            shards: rng.u8(1..4),
            after: rng.usize(1..8),
            simulation,
            journal: RefCell::default(),
            queue: RefCell::default(),
            to_happen: Cell::new(0),
            calm: Cell::new(false),
            numbers: Cell::new(0),
            crashes: Cell::new(0),
            receives: Cell::new(0),
            dead_letters: Cell::new(0),
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
        for client in clients.iter().filter(|client| client.was_there) {
            self.connect(client).await.map_err(|error| chain(&error))?;
        }

        // Things go wrong.
        let mut chaos = Chaos::new(self.seed, LASTS);
        self.simulation.decide(move |call| chaos.decide(call));
        self.to_happen.set(clients.len() + backends);
        let clients_live = clients.iter().map(|client| self.live(client));
        let backends_publish = (0..backends).map(|number| self.publish_some(number));
        let workers = (0..2).map(|number| self.work(number));
        let calm_down = async {
            sleep(LASTS + LASTS).await;
            self.calm.set(true);
            self.simulation.decide(|_| Fate::Served(Duration::from_millis(10)));
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
            return Err(format!(
                "the queue is never empty: {:?}",
                self.queue.borrow().iter().map(|waiting| &waiting.body).collect::<Vec<_>>()
            ));
        }
        self.verdict()?;

        // A last message to everyone finds those who are gone and have not been noticed yet, and takes all their rows.
        sleep(Duration::from_secs(10 * 60)).await;
        self.simulation.set_lag(Duration::ZERO);
        let mut found = self.rows();
        found.retain(|(channel, id)| channel == "*" && !self.simulation.is_open(id));
        self.enqueue(json!({"channel": "*"}), &[], "backend").await;
        self.empty_the_queue().await?;
        let left = self.rows();
        if let Some((_, id)) = found.iter().find(|(_, id)| left.iter().any(|(_, other)| other == id)) {
            return Err(format!("{id} was found to be gone, but the table holds {left:?}"));
        }
        // One to each other channel finds those who died while they connected, or were cut short while they left.
        for channel in CHANNELS
            .iter()
            .map(|name| json!({"channel": name}))
            .chain(PRINCIPALS.map(|name| json!({"user": name})))
        {
            self.enqueue(channel, &[], "backend").await;
        }
        self.empty_the_queue().await?;
        // And one more to everyone finds those whom `publish` closed meanwhile, because they took nothing.
        self.enqueue(json!({"channel": "*"}), &[], "backend").await;
        self.empty_the_queue().await?;
        self.verdict()?;
        self.simulation.expire();
        let mut expected: Vec<_> = clients
            .iter()
            .filter(|client| self.simulation.is_open(&client.id))
            .flat_map(|client| {
                let journal = self.journal.borrow();
                journal
                    .channels_of(&client.id)
                    .map(|channel| (channel.to_owned(), client.id.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        expected.sort();
        let mut found = self.rows();
        found.sort();
        if found != expected {
            return Err(format!("the table holds {found:?}, not {expected:?}"));
        }
        let (messages, unanswered) = self.journal.borrow().count();
        Ok(Summary {
            messages,
            unanswered,
            deliveries: self.simulation.deliveries().len(),
            calls: self.simulation.calls(),
            crashes: self.crashes.get(),
            receives: self.receives.get(),
            dead_letters: self.dead_letters.get(),
        })
    }

    /// Each row's channel and connection.
    fn rows(&self) -> Vec<(String, String)> {
        let rows = self.simulation.rows().into_iter();
        rows.map(|(partition, id)| {
            (partition.rsplit_once('#').map(|(channel, _)| channel.to_owned()).unwrap_or_default(), id)
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
        self.journal.borrow().check(&self.simulation.deliveries())
    }

    fn number(&self) -> u64 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    fn registry(&self) -> Registry {
        self.simulation.registry(self.shards)
    }

    fn broadcaster(&self) -> Broadcaster {
        Broadcaster {
            registry: self.registry(),
            fanout: self.simulation.fanout(),
            handover: Some(Handover { queue: self.simulation.queue(), after: self.after }),
            announcer: None,
            history: None,
        }
    }

    // --- clients -------------------------------------------------------------------------------------

    async fn connect(&self, client: &Client) -> Result<(), Error> {
        let channels = client.channels_of_connect();
        channels.iter().for_each(|channel| self.journal.borrow_mut().enters(&client.id, channel));
        // Long ago, the socket was there before anything else here.
        if client.was_there {
            self.simulation.open_to(&client.id, client.answers);
        }
        let event = Connect::try_from(fixtures::event(client.event(fixtures::connect_json()))).unwrap();
        connect(&Admission::new(self.registry(), vec![]), event).await?;
        if !client.was_there {
            // The socket is there only when API Gateway has the answer.
            sleep(up_to(Duration::from_secs(1), &mut generator(self.seed, ("opens", &client.id)))).await;
            self.simulation.open_to(&client.id, client.answers);
        }
        channels.iter().for_each(|channel| self.journal.borrow_mut().is_in(&client.id, channel));
        Ok(())
    }

    /// Connects, speaks, and perhaps goes.
    async fn live(&self, client: &Client) {
        let mut rng = generator(self.seed, ("life", &client.id));
        let start = Instant::now();
        if !client.was_there {
            sleep(up_to(LASTS / 2, &mut rng)).await;
            if self.connect(client).await.is_err() {
                self.to_happen.set(self.to_happen.get() - 1); // Refused: it never was there.
                return;
            }
        }
        let goes = match rng.u8(0..3) {
            0 => None,
            _ => Some(start + LASTS.mul_f64(rng.f64())),
        };
        let speaks = async {
            for _ in 0..rng.usize(0..4) {
                sleep(up_to(LASTS / 4, &mut rng)).await;
                if !self.simulation.is_open(&client.id) {
                    break;
                }
                match rng.u8(0..5) {
                    0 | 1 => self.subscribe(client, rng.choice(CHANNELS).unwrap()).await,
                    2 => self.unsubscribe(client, rng.choice(CHANNELS).unwrap()).await,
                    _ => self.say(client, &mut rng).await,
                }
            }
        };
        let leaves = async {
            let Some(goes) = goes else { return };
            sleep_until(goes).await;
            if !self.simulation.is_open(&client.id) {
                return;
            }
            self.journal.borrow_mut().closes(&client.id);
            self.simulation.close(&client.id);
            let mut rng = generator(self.seed, ("disconnect", &client.id));
            // The event can be missing, late or doubled.
            join_all((0..rng.usize(0..3)).map(|_| {
                let late = up_to(LASTS, &mut rng);
                async move {
                    sleep(late).await;
                    let event =
                        Disconnect::try_from(fixtures::event(client.event(fixtures::disconnect_json())))
                            .unwrap();
                    // Nobody tries again where it fails.
                    let farewell = Farewell { registry: self.registry(), announcer: None };
                    let _ = disconnect(&farewell, event).await;
                }
            }))
            .await;
        };
        futures::join!(speaks, leaves);
        self.to_happen.set(self.to_happen.get() - 1);
    }

    async fn subscribe(&self, client: &Client, channel: &str) {
        self.journal.borrow_mut().enters(&client.id, channel);
        if self.request(client, json!({"action": "subscribe", "channel": channel})).await {
            self.journal.borrow_mut().is_in(&client.id, channel);
        }
    }

    async fn unsubscribe(&self, client: &Client, channel: &str) {
        self.journal.borrow_mut().leaves(&client.id, channel);
        if self.request(client, json!({"action": "unsubscribe", "channel": channel})).await {
            self.journal.borrow_mut().is_out(&client.id, channel);
        }
    }

    /// Asks until it is answered, or the connection is closed.
    async fn request(&self, client: &Client, body: Value) -> bool {
        while self.simulation.is_open(&client.id) {
            let subscriptions = Subscriptions {
                registry: self.registry(),
                max: "50".parse().unwrap(),
                announcer: None,
                replayer: None,
            };
            if subscribe(&subscriptions, client.message("request", &body)).await.is_ok() {
                // Closed meanwhile, it is not there any more, whatever the row says.
                return self.simulation.is_open(&client.id);
            }
            sleep(Duration::from_secs(1)).await;
        }
        false
    }

    /// Sends a message to a channel, once: a client that hears of an error knows that it may be on its way.
    async fn say(&self, client: &Client, rng: &mut Rng) {
        let id = format!("s{}", self.number());
        let to = *rng.choice(["*", CHANNELS[0], CHANNELS[1], "user:ada"]).as_ref().unwrap();
        let (echo, message) = (rng.bool(), json!({"number": rng.u32(..)}));
        let said = frame(&id, Some(to), Some((&client.id, client.principal)), &message);
        let exclude = if echo { vec![] } else { vec![client.id.clone()] };
        self.journal.borrow_mut().says(&id, to.to_owned(), exclude, said);
        self.journal.borrow_mut().takes_up(&id);
        let body = json!({"action": "send", "channel": to, "message": message, "echo": echo});
        let event = client.message(&id, &body);
        let deadline = event.deadline;
        let broadcaster = self.broadcaster();
        let crash = self.crash(rng, deadline);
        let answer = match select(Box::pin(send(&broadcaster, event)), Box::pin(sleep_until(crash))).await {
            Either::Left((answer, _)) => answer.ok(),
            Either::Right(_) => None,
        };
        if Instant::now() >= deadline {
            self.breaks(format!("{id} was not sent in time"));
        }
        self.collect();
        if let Some(answer) = answer {
            let answer = serde_json::to_value(answer).unwrap();
            let ack: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
            if (&ack["type"], &ack["id"]) != (&json!("ack"), &json!(id)) {
                self.breaks(format!("{id} was answered with {ack}"));
            }
            self.journal.borrow_mut().promises(&id);
        }
        self.journal.borrow_mut().puts_down(&id);
    }

    /// When the environment dies: now and then in the middle.
    fn crash(&self, rng: &mut Rng, deadline: Instant) -> Instant {
        if self.calm.get() || rng.u8(0..5) > 0 {
            return deadline;
        }
        self.crashes.set(self.crashes.get() + 1);
        let longest =
            *rng.choice([Duration::from_millis(100), Duration::from_secs(2), TIMEOUT / 2]).as_ref().unwrap();
        Instant::now() + up_to(longest, rng)
    }

    fn breaks(&self, what: String) {
        self.broken.borrow_mut().get_or_insert(what);
    }

    // --- backends ------------------------------------------------------------------------------------

    async fn publish_some(&self, number: usize) {
        let mut rng = generator(self.seed, ("backend", number));
        for _ in 0..rng.usize(1..4) {
            sleep(up_to(LASTS / 3, &mut rng)).await;
            let somebody = Client::id(rng.usize(0..8));
            let to = match rng.u8(0..8) {
                0..2 => json!({"channel": "*"}),
                2..4 => json!({"channel": CHANNELS[0]}),
                4 => json!({"channel": CHANNELS[1]}),
                5 | 6 => json!({"user": rng.choice(PRINCIPALS).unwrap()}),
                _ => json!({"connection": somebody}),
            };
            let exclude = if rng.bool() { vec![Client::id(rng.usize(0..8))] } else { vec![] };
            self.enqueue(to, &exclude, &format!("backend {number}")).await;
        }
        self.to_happen.set(self.to_happen.get() - 1);
    }

    /// Publishes a message that a backend wrote.
    async fn enqueue(&self, to: Value, exclude: &[String], says: &str) {
        let id = format!("p{}", self.number());
        let channel = match &to {
            to if to["user"].is_string() => Some(format!("user:{}", to["user"].as_str().unwrap())),
            to => to["channel"].as_str().map(str::to_owned),
        };
        let destination = channel.clone().unwrap_or_else(|| alone(to["connection"].as_str().unwrap()));
        let message = json!({"says": says});
        let said = frame(&id, channel.as_deref(), None, &message);
        let mut body = to;
        (body["message"], body["exclude"], body["id"]) = (message, json!(exclude), json!(id));
        let mut journal = self.journal.borrow_mut();
        journal.says(&id, destination, exclude.to_vec(), said);
        journal.promises(&id);
        drop(journal);
        self.put(Some(id), body.to_string(), Duration::ZERO, false);
    }

    // --- the queue -----------------------------------------------------------------------------------

    fn put(&self, message: Option<String>, body: String, delay: Duration, is_delivery: bool) {
        if let Some(message) = &message {
            self.journal.borrow_mut().takes_up(message);
        }
        let id = format!("sqs-{}", self.number());
        let doubled = !self.calm.get() && generator(self.seed, &id).u8(0..5) == 0;
        let visible = Instant::now() + delay;
        let waiting = Waiting { id, body, message, is_delivery, visible, receives: 0, doubled };
        self.queue.borrow_mut().push(waiting);
    }

    /// What functions put into the queue is in it.
    fn collect(&self) {
        for sent in self.simulation.take_queued() {
            let record: Value = serde_json::from_str(&sent.body).unwrap();
            let message = record["broadcast"]["messageId"].as_str().map(str::to_owned);
            self.put(message, sent.body, Duration::from_secs(sent.delay), true);
        }
    }

    /// Invokes `publish` with what is in the queue, batch by batch, until there is nothing left to do.
    async fn work(&self, number: usize) {
        let mut rng = generator(self.seed, ("worker", number, self.calm.get()));
        let delivery_queue = DELIVERY_QUEUE.to_owned();
        let publisher = Publisher { broadcaster: self.broadcaster(), delivery_queue };
        loop {
            self.collect();
            let mut batch = vec![];
            let most = rng.usize(1..4);
            while batch.len() < most {
                let mut queue = self.queue.borrow_mut();
                let now = Instant::now();
                let visible: Vec<_> = (0..queue.len()).filter(|index| queue[*index].visible <= now).collect();
                let Some(index) = rng.choice(&visible) else { break };
                batch.push(queue.swap_remove(*index));
            }
            if batch.is_empty() {
                if self.to_happen.get() == 0 && self.queue.borrow().is_empty() && self.calm.get() {
                    return;
                }
                sleep(Duration::from_millis(200)).await;
                continue;
            }
            self.receives.set(self.receives.get() + batch.len() as u64);
            self.invoke(&publisher, batch, &mut rng).await;
        }
    }

    fn puts_down(&self, waiting: &Waiting) {
        if let Some(message) = &waiting.message {
            self.journal.borrow_mut().puts_down(message);
        }
    }

    async fn invoke(&self, publisher: &Publisher, batch: Vec<Waiting>, rng: &mut Rng) {
        let deadline = Instant::now() + TIMEOUT;
        let calls = batch.iter().map(|waiting| {
            let body = waiting.body.clone();
            let record =
                if waiting.is_delivery { fixtures::delivery(body) } else { fixtures::publication(body) };
            publish(publisher, Record { id: waiting.id.clone(), deadline, ..record })
        });
        let crash = self.crash(rng, deadline);
        let results = match select(Box::pin(join_all(calls)), Box::pin(sleep_until(crash))).await {
            Either::Left((results, _)) => Some(results),
            Either::Right(_) => None,
        };
        if Instant::now() >= deadline {
            self.breaks(format!(
                "an invocation ran past its deadline: {:?}",
                batch.iter().map(|waiting| &waiting.body).collect::<Vec<_>>()
            ));
        }
        self.collect();
        let mut results = results.map(Vec::into_iter);
        for mut waiting in batch {
            let result = results.as_mut().and_then(Iterator::next);
            let again = Instant::now() + up_to(Duration::from_secs(20), rng);
            match result {
                Some(Ok(())) if waiting.doubled => {
                    waiting.doubled = false;
                    waiting.visible = again;
                    self.queue.borrow_mut().push(waiting);
                }
                Some(Ok(())) => self.puts_down(&waiting),
                failed => {
                    waiting.receives += u32::from(self.calm.get());
                    if waiting.receives > MOST_RECEIVES {
                        let error = failed.and_then(Result::err);
                        if !matches!(error, Some(Error::Undelivered { failed: 1 })) {
                            self.breaks(format!("{} comes again and again: {error:?}", waiting.body));
                        }
                        self.dead_letters.set(self.dead_letters.get() + 1);
                        self.puts_down(&waiting);
                        continue;
                    }
                    waiting.visible = again;
                    self.queue.borrow_mut().push(waiting);
                }
            }
        }
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

struct Client {
    id: String,
    principal: Option<&'static str>,
    /// Whether it is connected before anything goes wrong.
    was_there: bool,
    /// How its connection answers a post.
    answers: u16,
}

impl Client {
    fn new(number: usize, rng: &mut Rng) -> Self {
        let principal = rng.bool().then(|| *rng.choice(&PRINCIPALS).unwrap());
        Self { id: Self::id(number), principal, was_there: rng.bool(), answers: 200 }
    }

    fn id(number: usize) -> String {
        format!("c{number}=")
    }

    fn channels_of_connect(&self) -> Vec<String> {
        let user = self.principal.map(|principal| format!("user:{principal}"));
        [Some("*".to_owned()), user, Some(alone(&self.id))].into_iter().flatten().collect()
    }

    fn event(&self, mut event: Value) -> Value {
        let ago = if self.was_there { 10 * 60 * 1_000 } else { 0 };
        event["requestContext"]["connectionId"] = json!(self.id);
        event["requestContext"]["connectedAt"] = json!(fixtures::now_millis() - ago);
        if let Some(principal) = self.principal {
            event["requestContext"]["authorizer"] = json!({"principalId": principal});
        }
        event
    }

    fn message(&self, id: &str, body: &Value) -> Message {
        let mut event = self.event(fixtures::message_json());
        event["requestContext"]["messageId"] = json!(id);
        event["body"] = json!(body.to_string());
        Message::try_from(fixtures::event(event)).unwrap()
    }
}
