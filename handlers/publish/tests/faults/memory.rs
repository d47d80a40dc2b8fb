//! What is kept of what was said, and what those hear who come back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use testkit::simulation::Delivery;
use tokio::time::Instant;

use crate::journal::Journal;

/// Somebody who is back on a new connection, and asked a channel for what was missed.
#[derive(Debug)]
struct Return {
    connection: String,
    channel: String,
    since: u64,
    /// When it was told that it has all.
    complete: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Memory {
    returns: Vec<Return>,
    /// How often each connection asked for a replay.
    asked: BTreeMap<String, u64>,
}

impl Memory {
    /// A connection asks for what was sent since then.
    pub(crate) fn asks(&mut self, connection: &str) {
        *self.asked.entry(connection.to_owned()).or_default() += 1;
    }

    /// A connection was told that it has all that was sent since then.
    pub(crate) fn has_all(&mut self, connection: &str, channel: &str, since: u64) {
        let (connection, channel) = (connection.to_owned(), channel.to_owned());
        self.returns.push(Return { connection, channel, since, complete: Instant::now() });
    }

    /// How many replays there were to a connection.
    pub(crate) fn replays_to(&self, connection: &str) -> u64 {
        self.asked.get(connection).copied().unwrap_or_default()
    }
}

impl Journal {
    /// Whether what was acknowledged is kept, once and as it was heard, and who came back heard it.
    pub(crate) fn check_memory(
        &self,
        rows: &[serde_json::Map<String, Value>],
        deliveries: &[Delivery],
    ) -> Result<(), String> {
        let mut heard = BTreeSet::new();
        let mut frames = BTreeMap::<String, BTreeSet<String>>::new();
        for delivery in deliveries {
            let frame: Value = serde_json::from_str(&delivery.frame).unwrap();
            if frame["type"] == "message" {
                let id = frame["id"].as_str().unwrap_or_default().to_owned();
                heard.insert((id.clone(), delivery.connection.as_str()));
                frames.entry(id).or_default().insert(delivery.frame.clone());
            }
        }
        let mut kept = BTreeMap::new();
        for row in rows.iter().filter(|row| row.contains_key("frame")) {
            let text = |name: &str| row[name]["S"].as_str().unwrap_or_default();
            let frame: Value = serde_json::from_str(text("frame")).unwrap();
            let (id, sent_at) = (frame["id"].as_str().unwrap_or_default(), frame["sentAt"].as_u64());
            let sent_at = sent_at.ok_or_else(|| format!("{frame} is kept without a time"))?;
            if text("at") != format!("{sent_at:013}#{id}") {
                return Err(format!("{frame} is kept at {}", text("at")));
            }
            if kept.insert(id.to_owned(), sent_at).is_some() {
                return Err(format!("{id} is kept twice"));
            }
            frames.entry(id.to_owned()).or_default().insert(text("frame").to_owned());
        }
        if let Some((id, frames)) = frames.iter().find(|(_, frames)| frames.len() > 1) {
            return Err(format!("{id} is not the same each time: {frames:?}"));
        }
        let promised = self.messages.iter().filter(|(_, message)| message.promised);
        for (id, message) in promised.filter(|(_, message)| !message.to.starts_with("connection ")) {
            let Some(sent_at) = kept.get(id) else { return Err(format!("{id} is not kept")) };
            for Return { connection, channel, since, complete } in &self.memory.returns {
                let key = (connection.clone(), channel.clone());
                let Some(stays) = self.stays.get(&key) else { continue };
                let end = message.done.map_or(*complete, |done| done.max(*complete));
                let stayed = stays.iter().any(|stay| stay.surely_until.is_none_or(|until| until > end));
                if message.to == *channel
                    && sent_at >= since
                    && stayed
                    && !message.exclude.contains(connection)
                    && !heard.contains(&(id.clone(), connection.as_str()))
                {
                    return Err(format!(
                        "{connection} came back, asked {channel} since {since}, and never heard {id} of {sent_at}"
                    ));
                }
            }
        }
        Ok(())
    }
}
