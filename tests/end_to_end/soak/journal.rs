//! What happened, and what must have happened.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Write as _,
};

use anyhow::{Result, ensure};
use tokio::time::Instant;

/// What a client went through.
#[derive(Default)]
pub(super) struct Client {
    pub(super) name: String,
    pub(super) connecting: Option<Instant>,
    pub(super) subscribed: Option<Instant>,
    /// When it began to leave, or its connection broke.
    pub(super) left: Option<Instant>,
    /// How often it heard each message, by number.
    pub(super) heard: BTreeMap<u64, usize>,
}

/// What became of a message.
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) acked: Option<Ack>,
}

pub(super) struct Ack {
    pub(super) at: Instant,
    /// Whether the sender was told that all was done: nothing queued, nobody failed.
    pub(super) done: bool,
    pub(super) frame: String,
}

/// What happened, by the clock.
pub(super) struct Journal {
    pub(super) start: Instant,
    pub(super) clients: Vec<Client>,
    pub(super) sent: BTreeMap<u64, Sent>,
    pub(super) unanswered: HashMap<String, usize>,
    pub(super) kills: Vec<Instant>,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            clients: Vec::new(),
            sent: BTreeMap::new(),
            unanswered: HashMap::new(),
            kills: Vec::new(),
        }
    }

    /// Compares what was heard with what was acked.
    pub(super) fn verdict(&self, replayed: &HashSet<u64>) -> Result<()> {
        let since = |at: Instant| format!("{:.1} s", (at - self.start).as_secs_f64());
        let mut faults = String::new();
        let (mut acked, mut deliveries, mut doubled) = (0, 0, 0);
        for client in &self.clients {
            deliveries += client.heard.len();
            doubled += client.heard.values().filter(|times| **times > 1).count();
        }
        for (number, sent) in &self.sent {
            let Some(ack) = &sent.acked else { continue };
            acked += 1;
            let told = format!(
                "message {number}, sent at {}, acked at {} with {}",
                since(sent.at),
                since(ack.at),
                ack.frame
            );
            if !replayed.contains(number) {
                writeln!(faults, "{told}: not in the history")?;
            }
            for client in self.clients.iter().filter(|client| !client.name.starts_with("silent")) {
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
        let kills: Vec<_> = self.kills.iter().map(|at| since(*at)).collect();
        println!(
            "soak: {} clients, {} messages, {acked} acked, not acked {:?}, {deliveries} deliveries, {doubled} doubled; functions killed at {kills:?}",
            self.clients.len(),
            self.sent.len(),
            self.unanswered,
        );
        ensure!(acked * 2 > self.sent.len(), "few of the messages were acked");
        ensure!(faults.is_empty(), "{faults}");
        Ok(())
    }
}
