//! Backends, which publish by way of the queue.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::fixtures;
use tokio::time::sleep;

use crate::{
    chaos::{generator, up_to},
    client::Client,
    journal::{alone, frame},
    world::{CHANNELS, LASTS, PRINCIPALS, World},
};

impl World {
    pub(crate) async fn publish_some(&self, number: usize) {
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
        self.has_happened();
    }

    /// Publishes a message that a backend wrote.
    pub(crate) async fn enqueue(&self, to: Value, exclude: &[String], says: &str) {
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
        self.put(id, fixtures::publication(body.to_string()), Duration::ZERO);
    }
}
