//! What clients do: they connect, subscribe, speak, go, and come back for what they missed.

use std::time::Duration;

use connect::connect;
use disconnect::disconnect;
use fastrand::Rng;
use futures::future::join_all;
use lambda_websocket::{Channel, Connect, Disconnect, Message, protocol::idempotency::IdempotencyKey};
use send::send;
use serde_json::{Value, json};
use subscribe::subscribe;
use testkit::fixtures;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    chaos::{generator, up_to},
    client::Client,
    journal::frame,
    lambda::Environment,
    memory::Start,
    presence::ANNOUNCED,
    world::{CHANNELS, LASTS, World},
};

impl World {
    /// Whether it was let in.
    pub(crate) async fn connect(&self, client: &Client) -> bool {
        self.journal.borrow_mut().presence.belongs(&client.id, client.principal);
        let channels = client.channels_of_connect();
        channels.iter().for_each(|channel| self.journal.borrow_mut().enters(&client.id, channel));
        if client.was_there {
            // Long ago, the socket was there before anything else here.
            self.simulation.open_to(&client.id, client.answers);
        } else {
            client.connected_at.set(fixtures::now_millis());
        }
        let event = Connect::try_from(fixtures::event(client.event(fixtures::connect_json()))).unwrap();
        let mut rng = generator(self.seed, ("connect", &client.id));
        let deadline = Instant::now() + Duration::from_secs(29);
        let answer =
            self.lambda.invoke("connect", &self.simulation, deadline, &mut rng, async |environment| {
                connect(&environment.admission, event).await
            });
        if !matches!(answer.await, Some(Ok(_))) {
            return false;
        }
        if !client.was_there {
            // The socket is there only when API Gateway has the answer.
            sleep(up_to(Duration::from_secs(1), &mut generator(self.seed, ("opens", &client.id)))).await;
            self.simulation.open_to(&client.id, client.answers);
        }
        channels.iter().for_each(|channel| self.journal.borrow_mut().is_in(&client.id, channel));
        true
    }

    /// Connects, speaks, and perhaps goes, and perhaps comes back.
    pub(crate) async fn live(&self, client: &Client) {
        let mut rng = generator(self.seed, ("life", &client.id));
        let start = Instant::now();
        if !client.was_there {
            sleep(up_to(LASTS / 2, &mut rng)).await;
            if !self.connect(client).await {
                return self.has_happened(); // Refused: it never was there.
            }
        }
        let goes = match rng.u8(0..3) {
            0 => None,
            _ => Some(start + LASTS.mul_f64(rng.f64())),
        };
        let comes_back = goes.is_some() && client.answers == 200 && rng.bool();
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
            let was_in: Vec<_> = self.journal.borrow().channels_of(&client.id).map(str::to_owned).collect();
            self.journal.borrow_mut().closes(&client.id);
            self.simulation.close(&client.id);
            let since = fixtures::now_millis();
            let back = async {
                if comes_back {
                    self.come_back(client, &was_in, since).await;
                }
            };
            futures::join!(self.disconnects(client), back);
        };
        futures::join!(speaks, leaves);
        self.has_happened();
    }

    /// The event can be missing, late or doubled, and nobody tries again where it fails.
    async fn disconnects(&self, client: &Client) {
        let mut rng = generator(self.seed, ("disconnect", &client.id));
        join_all((0..rng.usize(0..3)).map(|number| {
            let late = up_to(LASTS, &mut rng);
            let mut rng = generator(self.seed, ("disconnect", &client.id, number));
            async move {
                sleep(late).await;
                let event = Disconnect::try_from(fixtures::event(client.event(fixtures::disconnect_json())));
                let (event, deadline) = (event.unwrap(), Instant::now() + Duration::from_secs(29));
                let function =
                    async |environment: &Environment| disconnect(&environment.disconnector, event).await;
                let _ =
                    self.lambda.invoke("disconnect", &self.simulation, deadline, &mut rng, function).await;
                self.collect();
            }
        }))
        .await;
    }

    /// Connects anew, and asks each channel that it was in for what was sent since it went.
    async fn come_back(&self, client: &Client, was_in: &[String], since: u64) {
        let mut rng = generator(self.seed, ("back", &client.id));
        sleep(up_to(LASTS, &mut rng)).await;
        let client = client.back();
        if !self.connect(&client).await {
            return;
        }
        for channel in was_in {
            if !client.channels_of_connect().contains(channel) {
                self.journal.borrow_mut().enters(&client.id, channel);
            }
            let start = if rng.bool() {
                self.catch_up(&client, channel).await.then_some(Start::After(0))
            } else {
                let body = json!({"action": "subscribe", "channel": channel, "since": since});
                let is_complete = |answer: &Value| answer["complete"] == true;
                self.request(&client, body, is_complete).await.map(|_| Start::Since(since))
            };
            if let Some(start) = start {
                let mut journal = self.journal.borrow_mut();
                journal.is_in(&client.id, channel);
                journal.memory.has_all(&client.id, channel, start);
            }
        }
    }

    /// Asks a channel for all of its messages by number, page by page, until it has them all.
    async fn catch_up(&self, client: &Client, channel: &str) -> bool {
        let mut after = 0;
        loop {
            let body = json!({"action": "subscribe", "channel": channel, "after": after});
            let is_answer = |answer: &Value| answer["type"] == "subscribed";
            let Some(answer) = self.request(client, body, is_answer).await else { return false };
            let Some(through) = answer["seq"].as_u64().filter(|through| *through >= after) else {
                self.breaks(format!("{channel} after {after} was answered with {answer}"));
                return false;
            };
            if answer["missing"] == true {
                self.breaks(format!("{channel} after {after} lacks messages: {answer}"));
            }
            self.journal.borrow_mut().memory.has(&client.id, channel, after, through);
            after = through;
            if answer["complete"] == true {
                return true;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn subscribe(&self, client: &Client, channel: &str) {
        self.journal.borrow_mut().enters(&client.id, channel);
        let is_answer = |answer: &Value| answer["type"] == "subscribed";
        let body = json!({"action": "subscribe", "channel": channel});
        if let Some(answer) = self.request(client, body, is_answer).await {
            let mut journal = self.journal.borrow_mut();
            journal.is_in(&client.id, channel);
            journal.memory.begins(channel, answer["seq"].as_u64().unwrap_or(u64::MAX));
        }
    }

    async fn unsubscribe(&self, client: &Client, channel: &str) {
        self.journal.borrow_mut().leaves(&client.id, channel);
        if self
            .request(client, json!({"action": "unsubscribe", "channel": channel}), |_| true)
            .await
            .is_some()
        {
            self.journal.borrow_mut().is_out(&client.id, channel);
        }
    }

    /// Asks until it is answered so, and returns the answer; `None`: the connection is closed.
    async fn request(
        &self,
        client: &Client,
        body: Value,
        is_answer: impl Fn(&Value) -> bool,
    ) -> Option<Value> {
        let mut rng = generator(self.seed, ("request", &client.id, self.number()));
        while self.simulation.is_open(&client.id) {
            if body["since"].is_u64() || body["after"].is_u64() {
                self.journal.borrow_mut().memory.asks(&client.id);
            }
            let event = client.message("request", &body);
            let deadline = event.deadline;
            let function =
                async |environment: &Environment| subscribe(&environment.subscriptions, event).await;
            let answer =
                self.lambda.invoke("subscribe", &self.simulation, deadline, &mut rng, function).await;
            self.collect();
            if let Some(Ok(answer)) = answer {
                let answer = serde_json::to_value(answer).unwrap();
                let answer = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                if is_answer(&answer) {
                    // Closed meanwhile, it is not there any more, whatever the row says.
                    return self.simulation.is_open(&client.id).then_some(answer);
                }
            }
            if body["channel"] == ANNOUNCED {
                self.journal.borrow_mut().presence.asks_again(&client.id);
            }
            sleep(Duration::from_secs(1)).await;
        }
        None
    }

    /// Sends a message to a channel. Without an id of its own once: it may be on its way though there was an error.
    async fn say(&self, client: &Client, rng: &mut Rng) {
        let id = format!("s{}", self.number());
        let to = *rng.choice(["*", CHANNELS[0], CHANNELS[1], "user:ada"]).as_ref().unwrap();
        let (echo, message) = (rng.bool(), json!({"number": rng.u32(..), "text": "\u{ffff}"}));
        let mut body = json!({"action": "send", "channel": to, "message": message, "echo": echo});
        let mut event = client.message(&id, &body);
        let own_id = rng.bool().then(|| format!("own-{id}"));
        let id = match &own_id {
            Some(own_id) => {
                body["id"] = json!(own_id);
                event = client.message(&id, &body);
                let (channel, own_id) = (Channel::parse(to).unwrap(), own_id.clone().try_into().unwrap());
                IdempotencyKey::of_client(&event.connection, &channel, &own_id).as_str().to_owned()
            }
            None => id,
        };
        let said = frame(&id, Some(to), Some((&client.id, client.principal)), &message);
        let exclude = if echo { vec![] } else { vec![client.id.clone()] };
        self.journal.borrow_mut().says(&id, to.to_owned(), exclude, said);
        self.journal.borrow_mut().takes_up(&id);
        // With an id of its own, it is sent again where nobody answers, and now and then where somebody did.
        for attempt in 1..=3 {
            let deadline = Instant::now() + Duration::from_secs(28);
            let event = Message { deadline, received_at: fixtures::now_millis(), ..event.clone() };
            let function = async |environment: &Environment| send(&environment.broadcaster, event).await;
            let answer = self.lambda.invoke("send", &self.simulation, deadline, rng, function).await;
            if Instant::now() >= deadline {
                self.breaks(format!("{id} was not sent in time"));
            }
            self.collect();
            let is_answered = matches!(answer, Some(Ok(_)));
            if let Some(Ok(answer)) = answer {
                let answer = serde_json::to_value(answer).unwrap();
                let ack: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                if (&ack["type"], &ack["id"]) != (&json!("ack"), &json!(id)) {
                    self.breaks(format!("{id} was answered with {ack}"));
                }
                self.journal.borrow_mut().promises(&id);
            }
            if own_id.is_none() || attempt == 3 || is_answered && rng.u8(0..4) > 0 {
                break;
            }
            self.journal.borrow_mut().begins_anew(&id);
            sleep(Duration::from_millis(rng.u64(0..3_000))).await;
        }
        self.journal.borrow_mut().puts_down(&id);
    }
}
