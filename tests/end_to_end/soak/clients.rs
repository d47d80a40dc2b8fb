//! What clients do: they stay and send, come and go, or never read.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use super::journal::{Ack, Client, Journal, Sent};

const CHANNEL: &str = "soak";

/// The longest wait for an answer. After it, the client is replaced by another.
const PATIENCE: Duration = Duration::from_secs(35);

#[derive(Clone)]
pub(super) struct Soak {
    url: String,
    journal: Arc<Mutex<Journal>>,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Soak {
    pub(super) fn new(url: String) -> Self {
        Self { url, journal: Arc::new(Mutex::new(Journal::new())) }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects and subscribes, again and again where a function died meanwhile.
    pub(super) async fn join(&self, name: String) -> Result<(usize, Socket)> {
        let mut last = None;
        for _ in 0..5 {
            let connecting = Instant::now();
            match timeout(PATIENCE, self.try_join()).await {
                Ok(Ok((socket, heard))) => {
                    let mut journal = self.journal();
                    let client = Client {
                        name,
                        connecting: Some(connecting),
                        subscribed: Some(Instant::now()),
                        heard,
                        ..Client::default()
                    };
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
    pub(super) async fn stay(
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
                _ = stopped.changed() => return Ok(()),
            }
        }
    }

    /// Comes, stays for some seconds, closes or vanishes, and comes again.
    pub(super) async fn churn(&self, number: usize, end: Instant) {
        let mut rng = fastrand::Rng::with_seed(number as u64);
        for round in 0.. {
            sleep(Duration::from_millis(rng.u64(0..2_000))).await;
            if Instant::now() >= end {
                return;
            }
            // Nobody may connect while the functions die; it comes again.
            let Ok((client, mut socket)) = self.join(format!("churning {number}.{round}")).await else {
                continue;
            };
            let leaves = Instant::now() + Duration::from_millis(rng.u64(1_000..8_000));
            while let Ok(Ok(frame)) =
                timeout(leaves.saturating_duration_since(Instant::now()), frame(&mut socket)).await
            {
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
    pub(super) async fn replay(&self) -> Result<HashSet<u64>> {
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
