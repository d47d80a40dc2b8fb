//! Clients come and go, speak, vanish or never read, while the functions' processes are killed.
//!
//! The truth is computed from what the backend said. A message counts as sent once its sender heard an ack. Each client
//! that was subscribed before such a message was sent, and stayed to the end, must hear it; and the history must have it.
//! A client that connects after an ack that leaves nothing queued must not hear it.
//!
//! `make soak` runs it alone, longer and with more clients than the other tests do.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    env,
    fmt::Write as _,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use end_to_end::harness::trial;
use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use futures_util::SinkExt;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::cloud::{AT_ONCE, Cloud};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("soak::what_is_acked_is_heard_by_all_who_stay", what_is_acked_is_heard_by_all_who_stay)]
}

const CHANNEL: &str = "soak";

/// The longest wait for an answer. After it, the client is replaced by another.
const PATIENCE: Duration = Duration::from_secs(35);

/// The longest wait for the queues to become empty: a record that was taken when its function died comes back after a
/// minute, and who is missed is posted to again for another.
const LONGEST_SETTLING: Duration = Duration::from_secs(300);

/// How large a run is.
struct Size {
    /// Clients that stay to the end. Each sends, one message after the other.
    steady: usize,
    /// Clients that stay for some seconds, then close or vanish, and come again.
    churning: usize,
    /// Clients that never read.
    silent: usize,
    /// For how long clients send.
    lasts: Duration,
    /// Messages a second, of all clients together.
    rate: f64,
    /// How often all processes of functions are killed.
    kills: u32,
}

impl Size {
    fn from_env() -> Result<Self> {
        let clients: usize = number("CLIENTS", 24)?;
        Ok(Self {
            steady: clients / 2,
            churning: clients - clients / 2,
            silent: 1,
            lasts: Duration::from_secs(number("DURATION", 40)?),
            rate: number("RATE", 4.0)?,
            kills: number("KILLS", 2)?,
        })
    }
}

fn number<T: FromStr>(name: &str, default: T) -> Result<T> {
    match env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is no number: {text:?}")),
        Err(_) => Ok(default),
    }
}

/// What a client went through.
#[derive(Default)]
struct Client {
    name: String,
    connecting: Option<Instant>,
    subscribed: Option<Instant>,
    /// When it began to leave, or its connection broke.
    left: Option<Instant>,
    /// How often it heard each message, by number.
    heard: BTreeMap<u64, usize>,
}

/// What became of a message.
struct Sent {
    at: Instant,
    acked: Option<Ack>,
}

struct Ack {
    at: Instant,
    /// Whether the sender was told that all was done: nothing queued, nobody failed.
    done: bool,
    frame: String,
}

/// What happened, by the clock.
struct Journal {
    start: Instant,
    clients: Vec<Client>,
    sent: BTreeMap<u64, Sent>,
    unanswered: HashMap<String, usize>,
    kills: Vec<Instant>,
}

#[derive(Clone)]
struct Soak {
    url: String,
    journal: Arc<Mutex<Journal>>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn what_is_acked_is_heard_by_all_who_stay() -> Result<()> {
    let size = Size::from_env()?;
    let cloud = Cloud::start("soak", "tests/stacks/soak").await?;
    cloud.stack.apply(|_, _| ()).await?;
    let soak = Soak {
        url: cloud.output("websocket_url").await?,
        journal: Arc::new(Mutex::new(Journal {
            start: Instant::now(),
            clients: vec![],
            sent: BTreeMap::new(),
            unanswered: HashMap::new(),
            kills: vec![],
        })),
    };
    // The functions are warm, and those who stay are there, before anything is counted.
    let sockets: Vec<_> = stream::iter(0..size.steady)
        .map(|number| soak.join(format!("steady {number}")))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let sockets = sockets.into_iter().collect::<Result<Vec<_>>>()?;
    for number in 0..size.silent {
        let (_, socket) = soak.join(format!("silent {number}")).await?;
        // It is held open, and nobody reads from it.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(socket);
        });
    }

    let end = Instant::now() + size.lasts;
    let (stop, stopped) = watch::channel(false);
    let pause = Duration::from_secs_f64(size.steady as f64 / size.rate);
    let steady: Vec<_> = sockets
        .into_iter()
        .enumerate()
        .map(|(number, (client, socket))| {
            let soak = soak.clone();
            let first = Instant::now() + pause.mul_f64(number as f64 / size.steady as f64);
            tokio::spawn(soak.stay(client, socket, first, pause, end, stopped.clone()))
        })
        .collect();
    let churn = (0..size.churning).map(|number| soak.churn(number, end));
    let kill = async {
        for number in 1..=size.kills {
            sleep_until(end - size.lasts.mul_f64(1.0 - f64::from(number) / f64::from(size.kills + 1))).await;
            cloud.kill_functions().await?;
            soak.journal().kills.push(Instant::now());
        }
        anyhow::Ok(())
    };
    let (killed, _) = join(kill, join_all(churn)).await;
    killed?;
    sleep_until(end + PATIENCE.min(Duration::from_secs(5))).await;
    let settled = settle(&cloud).await;
    sleep(Duration::from_secs(2)).await; // What was posted last is on its way through the socket.
    stop.send_replace(true);
    for task in steady {
        task.await??;
    }
    let replayed = soak.replay().await?;
    let verdict = soak.verdict(&replayed);
    if settled.is_err() || verdict.is_err() {
        let log = cloud.folder.join("functions.log");
        std::fs::write(&log, cloud.all_logs())?;
        eprintln!("what the functions logged is in {}", log.display());
    }
    cloud.stop().await;
    settled?;
    verdict
}

/// Waits until the queues are empty: nothing is under way any more.
async fn settle(cloud: &Cloud) -> Result<()> {
    let start = Instant::now();
    let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"];
    loop {
        let mut waiting = 0;
        for url in cloud.list("queue_urls").await? {
            let answer = cloud.aws("sqs", "get_queue_attributes", &json!({"QueueUrl": url, "AttributeNames": names})).await?;
            let count = |name: &str| answer["Attributes"][name].as_str().and_then(|count| count.parse::<u64>().ok());
            waiting += names.iter().filter_map(|name| count(name)).sum::<u64>();
        }
        if waiting == 0 {
            return Ok(());
        }
        ensure!(start.elapsed() < LONGEST_SETTLING, "after {LONGEST_SETTLING:?}, {waiting} records wait in the queues");
        sleep(Duration::from_secs(1)).await;
    }
}

impl Soak {
    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects and subscribes, again and again where a function died meanwhile.
    async fn join(&self, name: String) -> Result<(usize, Socket)> {
        let mut last = None;
        for _ in 0..5 {
            let connecting = Instant::now();
            match timeout(PATIENCE, self.try_join()).await {
                Ok(Ok((socket, heard))) => {
                    let mut journal = self.journal();
                    let client = Client { name, connecting: Some(connecting), subscribed: Some(Instant::now()), heard, ..Client::default() };
                    journal.clients.push(client);
                    return Ok((journal.clients.len() - 1, socket));
                }
                Ok(Err(error)) => last = Some(error),
                Err(_) => last = Some(anyhow::anyhow!("no answer within {PATIENCE:?}")),
            }
            sleep(Duration::from_millis(500)).await;
        }
        Err(last.context("it was tried")?.context("cannot join"))
    }

    async fn try_join(&self) -> Result<(Socket, BTreeMap<u64, usize>)> {
        let (mut socket, _) = connect_async(&self.url).await?;
        let mut heard = BTreeMap::new();
        socket.send(text(&json!({"action": "subscribe", "channel": CHANNEL}))).await?;
        loop {
            let frame = frame(&mut socket).await?;
            match frame["type"].as_str() {
                Some("subscribed") => return Ok((socket, heard)),
                Some("message") => *heard.entry(number_of(&frame)).or_default() += 1,
                _ => bail!("not subscribed: {frame}"),
            }
        }
    }

    /// Hears and sends until the end, and then hears until it is told to stop.
    async fn stay(
        self,
        client: usize,
        mut socket: Socket,
        first: Instant,
        pause: Duration,
        end: Instant,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<()> {
        let (mut next, mut under_way) = (first, None::<(u64, Instant)>);
        loop {
            let wake = match under_way {
                Some((_, at)) => at + PATIENCE,
                None if next < end => next,
                None => end + Duration::from_secs(3_600),
            };
            tokio::select! {
                read = frame(&mut socket) => {
                    let frame = match read {
                        Ok(frame) => frame,
                        Err(error) => {
                            self.journal().clients[client].left = Some(Instant::now());
                            bail!("a client that stays lost its connection: {error:#}");
                        }
                    };
                    let mut journal = self.journal();
                    match (frame["type"].as_str(), under_way) {
                        (Some("message"), _) => *journal.clients[client].heard.entry(number_of(&frame)).or_default() += 1,
                        (Some("ack"), Some((number, _))) => {
                            let done = frame["failed"] == 0 && frame["queued"].is_null() && frame["incomplete"].is_null();
                            let ack = Ack { at: Instant::now(), done, frame: frame.to_string() };
                            journal.sent.get_mut(&number).context("it was sent")?.acked = Some(ack);
                            under_way = None;
                        }
                        (kind, Some(_)) => {
                            let why = kind.map_or(&frame["message"], |_| &frame["code"]).to_string();
                            *journal.unanswered.entry(why).or_default() += 1;
                            under_way = None;
                        }
                        (_, None) => bail!("an answer to nothing: {frame}"),
                    }
                }
                () = sleep_until(wake) => {
                    if let Some((number, _)) = under_way {
                        bail!("message {number} was not answered within {PATIENCE:?}");
                    }
                    let number = {
                        let mut journal = self.journal();
                        let number = journal.sent.len() as u64;
                        journal.sent.insert(number, Sent { at: Instant::now(), acked: None });
                        number
                    };
                    socket.send(text(&json!({"action": "send", "channel": CHANNEL, "message": number}))).await?;
                    under_way = Some((number, Instant::now()));
                    next += pause;
                }
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            }
        }
    }

    /// Comes, stays for some seconds, closes or vanishes, and comes again.
    async fn churn(&self, number: usize, end: Instant) {
        let mut rng = fastrand::Rng::with_seed(number as u64);
        for round in 0.. {
            sleep(Duration::from_millis(rng.u64(0..2_000))).await;
            if Instant::now() >= end {
                return;
            }
            // Nobody may connect while the functions die; it comes again.
            let Ok((client, mut socket)) = self.join(format!("churning {number}.{round}")).await else { continue };
            let leaves = Instant::now() + Duration::from_millis(rng.u64(1_000..8_000));
            while let Ok(Ok(frame)) = timeout(leaves.saturating_duration_since(Instant::now()), frame(&mut socket)).await {
                if frame["type"] == "message" {
                    *self.journal().clients[client].heard.entry(number_of(&frame)).or_default() += 1;
                }
            }
            self.journal().clients[client].left = Some(Instant::now());
            if rng.bool() {
                drop(socket.close(None).await);
                drop(timeout(Duration::from_secs(2), async { while socket.next().await.is_some() {} }).await);
            }
        }
    }

    /// What the history has, as a new client is told.
    async fn replay(&self) -> Result<HashSet<u64>> {
        let (mut socket, _) = connect_async(&self.url).await?;
        socket.send(text(&json!({"action": "subscribe", "channel": CHANNEL, "since": 0}))).await?;
        let mut replayed = HashSet::new();
        loop {
            let frame = timeout(PATIENCE, frame(&mut socket)).await.context("no replay")??;
            match frame["type"].as_str() {
                Some("message") => drop(replayed.insert(number_of(&frame))),
                Some("subscribed") => return Ok(replayed),
                _ => bail!("no replay: {frame}"),
            }
        }
    }

    fn verdict(&self, replayed: &HashSet<u64>) -> Result<()> {
        let journal = self.journal();
        let since = |at: Instant| format!("{:.1} s", (at - journal.start).as_secs_f64());
        let mut faults = String::new();
        let (mut acked, mut deliveries, mut doubled) = (0, 0, 0);
        for client in &journal.clients {
            deliveries += client.heard.len();
            doubled += client.heard.values().filter(|times| **times > 1).count();
        }
        for (number, sent) in &journal.sent {
            let Some(ack) = &sent.acked else { continue };
            acked += 1;
            let told = format!("message {number}, sent at {}, acked at {} with {}", since(sent.at), since(ack.at), ack.frame);
            if !replayed.contains(number) {
                writeln!(faults, "{told}: not in the history")?;
            }
            for client in journal.clients.iter().filter(|client| !client.name.starts_with("silent")) {
                let was_there = client.subscribed.is_some_and(|at| at < sent.at) && client.left.is_none();
                let heard = client.heard.contains_key(number);
                if was_there && !heard {
                    writeln!(faults, "{told}: {} did not hear it", client.name)?;
                }
                if heard && ack.done && client.connecting.is_some_and(|at| at > ack.at) {
                    writeln!(faults, "{told}: {} heard it, and came after it was done", client.name)?;
                }
            }
        }
        let kills: Vec<_> = journal.kills.iter().map(|at| since(*at)).collect();
        println!(
            "soak: {} clients, {} messages, {acked} acked, not acked {:?}, {deliveries} deliveries, {doubled} doubled; functions killed at {kills:?}",
            journal.clients.len(), journal.sent.len(), journal.unanswered,
        );
        ensure!(acked * 2 > journal.sent.len(), "few of the messages were acked");
        ensure!(faults.is_empty(), "{faults}");
        Ok(())
    }
}

fn text(json: &Value) -> Message {
    Message::text(json.to_string())
}

fn number_of(frame: &Value) -> u64 {
    frame["message"].as_u64().unwrap_or(u64::MAX)
}

async fn frame(socket: &mut Socket) -> Result<Value> {
    loop {
        match socket.next().await.context("the connection is closed")?? {
            Message::Text(text) => return Ok(serde_json::from_str(&text)?),
            Message::Close(frame) => bail!("closed: {frame:?}"),
            _ => {}
        }
    }
}
